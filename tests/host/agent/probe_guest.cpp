// The guest of the machine tests: PID 1 of an initramfs, alone in its machine. It keeps changing memory and
// disk in a way that it can check, and says so on the console, one line a round:
//
//   tick N ok          N rounds done; memory and disk are as they should be
//   tick N BAD what    they are not
//
// Memory: kPages pages; in each round every second page is zeroed and the others get the round's number in
// every word, the two kinds changing places from round to round. So at any moment of a pause half of the
// pages have just become zero after having been something else, which is what a snapshot that leaves out zero
// pages gets wrong. Disk: one sector of /dev/vda, written and read back past the page cache, holds the number
// of the last round.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr std::size_t kPages = 4096;  // 16 MiB
constexpr std::size_t kWords = 4096 / sizeof(std::uint64_t);
alignas(4096) std::uint64_t memory[kPages][kWords];
alignas(4096) std::uint64_t sector[kWords];

void load_modules() {
  FILE* order = std::fopen("/modules/load-order", "r");
  if (order == nullptr) return;
  char name[256];
  while (std::fscanf(order, "%255s", name) == 1) {
    const std::string path = std::string("/modules/") + name;
    const int fd = ::open(path.c_str(), O_RDONLY);
    if (fd >= 0) ::syscall(SYS_finit_module, fd, "", 0);
    ::close(fd);
  }
  std::fclose(order);
}

std::uint64_t expected(std::uint64_t round, std::size_t page) {
  if (round == 0) return 0;
  return (round + page) % 2 == 0 ? 0 : round;
}

}  // namespace

int main() {
  ::mkdir("/dev", 0755);
  ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  const int console = ::open("/dev/console", O_RDWR);
  if (console >= 0)
    for (int fd = 0; fd < 3; ++fd) ::dup2(console, fd);
  load_modules();
  int disk = -1;
  for (int tries = 0; tries < 200 && disk < 0; ++tries) {
    disk = ::open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC);
    if (disk < 0) ::usleep(5000);
  }
  std::printf("probe guest up, disk %s\n", disk >= 0 ? "yes" : "no");
  std::fflush(stdout);
  for (std::uint64_t round = 0;; ++round) {
    const char* bad = nullptr;
    for (std::size_t page = 0; page < kPages && bad == nullptr; ++page)
      for (std::size_t word = 0; word < kWords; ++word)
        if (memory[page][word] != expected(round, page)) {
          bad = memory[page][word] == 0 ? "memory lost" : "old memory came back";
          break;
        }
    if (disk >= 0 && round > 0) {
      if (::pread(disk, sector, sizeof sector, 0) != static_cast<ssize_t>(sizeof sector) ||
          sector[0] != round)
        bad = "disk";
    }
    std::printf("tick %llu %s%s\n", static_cast<unsigned long long>(round), bad == nullptr ? "ok" : "BAD ",
                bad == nullptr ? "" : bad);
    std::fflush(stdout);
    ::usleep(20'000);
    for (std::size_t page = 0; page < kPages; ++page)
      for (std::size_t word = 0; word < kWords; ++word) memory[page][word] = expected(round + 1, page);
    if (disk >= 0) {
      sector[0] = round + 1;
      if (::pwrite(disk, sector, sizeof sector, 0) != static_cast<ssize_t>(sizeof sector))
        std::printf("write BAD\n");
    }
  }
}
