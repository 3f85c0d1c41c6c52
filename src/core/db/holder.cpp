#include "core/db/holder.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <optional>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"

namespace wrenn::db {

namespace {

// Empty if the file cannot be read.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Field 22 of /proc/PID/stat (man 5 proc_pid_stat): when the process started, in clock ticks. Empty: no
// process.
std::string start_time(std::string_view pid) {
  const auto line = first_line(fmt::format("/proc/{}/stat", pid));
  const auto end_of_name = line.rfind(')');
  if (end_of_name == line.npos) return {};
  const auto fields = split(std::string_view(line).substr(end_of_name + 1), ' ');  // "", state, ppid, …
  return fields.size() > 20 ? std::string(fields[20]) : std::string();
}

// What must be the same for pids to mean the same.
std::string place() {
  std::array<char, 64> name{};
  const auto size = ::readlink("/proc/self/ns/pid", name.data(), name.size());  // "pid:[4026531836]"
  return fmt::format("{}/{}", first_line("/proc/sys/kernel/random/boot_id"),
                     std::string_view(name.data(), size < 0 ? 0 : static_cast<std::size_t>(size)));
}

}  // namespace

std::string this_holder() {
  const auto pid = std::to_string(::getpid());
  return fmt::format("{}/{}/{}/{}", place(), pid, start_time(pid), random_hex(8));
}

bool is_gone(std::string_view holder) {
  const auto parts = split(holder, '/');
  if (parts.size() != 5 || !parse_int<int>(parts[2]) || parts[3].empty()) return false;
  if (fmt::format("{}/{}", parts[0], parts[1]) != place()) return false;
  return start_time(parts[2]) != parts[3];
}

}  // namespace wrenn::db
