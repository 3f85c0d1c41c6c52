// The same /init that the wrenn executable can be, as a program of its own: a seventh of the size. The kernel
// copies the whole archive into memory page by page before it starts anything, which under TCG costs a third
// of a second for ten megabytes. rootfs/kernel.sh takes this one where it finds it.
#include <unistd.h>

#include <cstdio>

#include "guest/initramfs_init.h"

int main() {
  if (getpid() != 1) {
    std::fputs("guest-init is the /init of a guest's initramfs; it does nothing elsewhere\n", stderr);
    return 1;
  }
  return wrenn::guest::run_initramfs_init();
}
