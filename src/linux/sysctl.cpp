#include "linux/sysctl.h"

#include "core/base/text.h"
#include "linux/fd.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

std::string path_of(std::string_view name) {
  std::string path = "/proc/sys/";
  for (const char c : name) path += c == '.' ? '/' : c == '/' ? '.' : c;
  return path;
}

}  // namespace

void write_sysctl(std::string_view name, std::string_view value) {
  write_existing(path_of(name), value);
}

std::string read_sysctl(std::string_view name) {
  return std::string(trim(read_file(path_of(name), limits::kProcFileBytes)));
}

}  // namespace wrenn::sys
