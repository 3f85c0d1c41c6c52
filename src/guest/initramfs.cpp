#include "guest/initramfs.h"

#include <fmt/format.h>

#include "guest/cpio.h"
#include "guest/limits.h"
#include "guest/load_order.h"
#include "linux/fd.h"

namespace wrenn::guest {

void write_initramfs(const InitramfsOptions& options) {
  CpioWriter archive;

  // 1. What the kernel wants before /init runs: its standard streams.
  archive.add_directory("dev", 0755);
  archive.add_character_device("dev/console", 0600, 5, 1);

  // 2. The init program.
  archive.add_file("init", 0755, sys::read_file(options.init_binary, limits::kInitBinaryBytes));

  // 3. The modules with their order.
  const std::string order =
      sys::read_file(fmt::format("{}/{}", options.modules, kLoadOrderFile), limits::kLoadOrderBytes);
  archive.add_directory(kModulesDirectory, 0755);
  archive.add_file(fmt::format("{}/{}", kModulesDirectory, kLoadOrderFile), 0644, order);
  for (const std::string& name : parse_load_order(order)) {
    const std::string content =
        sys::read_file(fmt::format("{}/{}", options.modules, name), limits::kModuleBytes);
    archive.add_file(fmt::format("{}/{}", kModulesDirectory, name), 0644, content);
  }

  sys::write_file_atomic(options.output, archive.finish(), 0644);
}

}  // namespace wrenn::guest
