#include "linux/procfs.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <memory>

#include "core/base/error.h"
#include "core/base/text.h"
#include "linux/fd.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

// Reads a file of a process; absent when the process is gone, which is ENOENT at open and ESRCH at read.
std::optional<std::string> read_of_process(pid_t pid, const char* file, std::size_t max_bytes) {
  try {
    return try_read_file(fmt::format("/proc/{}/{}", pid, file), max_bytes);
  } catch (const SystemError& error) {
    if (error.errno_value() == ESRCH) return std::nullopt;
    throw;
  }
}

// Splits off the next space-separated word.
std::string_view take_word(std::string_view& text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) {
    text = {};
    return {};
  }
  const auto end = std::min(text.find(' ', begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

// Value in bytes of a "Name:   123 kB" line; 0 when there is none.
std::uint64_t kilobyte_field(std::string_view text, std::string_view name) {
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    line = trim(line.substr(name.size() + 1));
    return parse_int<std::uint64_t>(take_word(line)).value_or(0) * 1024;
  }
  return 0;
}

std::vector<std::string> names_in(const char* path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path), ::closedir);
  if (!directory) throw_errno("list {}", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory.get())) names.emplace_back(entry->d_name);
  return names;
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
  // The name is in parentheses and may hold any byte, ")" included: it ends at the last ")".
  const auto open = text.find(" (");
  const auto close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
    return std::nullopt;
  ProcStat stat;
  const auto pid = parse_int<pid_t>(text.substr(0, open));
  if (!pid) return std::nullopt;
  stat.pid = *pid;
  stat.name = std::string(text.substr(open + 2, close - open - 2));

  // fields[i] is field i + 3 of proc(5).
  std::array<std::string_view, 20> fields;
  std::string_view rest = trim(text.substr(close + 1));
  for (std::string_view& field : fields) field = take_word(rest);
  if (fields[0].size() != 1) return std::nullopt;
  stat.state = fields[0][0];
  const auto parent = parse_int<pid_t>(fields[1]);
  const auto user = parse_int<std::uint64_t>(fields[11]);
  const auto system = parse_int<std::uint64_t>(fields[12]);
  const auto threads = parse_int<int>(fields[17]);
  const auto start = parse_int<std::uint64_t>(fields[19]);
  if (!parent || !user || !system || !threads || !start) return std::nullopt;
  stat.parent = *parent;
  stat.user_ticks = *user;
  stat.system_ticks = *system;
  stat.threads = *threads;
  stat.start_time = *start;
  return stat;
}

std::optional<ProcStat> read_proc_stat(pid_t pid) {
  const auto text = read_of_process(pid, "stat", limits::kProcFileBytes);
  if (!text) return std::nullopt;
  auto stat = parse_proc_stat(*text);
  if (!stat) throw_error(ErrorCode::internal, "/proc/{}/stat has an unknown form: \"{}\"", pid, *text);
  return stat;
}

std::uint64_t clock_ticks_per_second() noexcept {
  return static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

MemoryUse parse_smaps_rollup(std::string_view text) {
  MemoryUse use;
  use.resident = kilobyte_field(text, "Rss");
  use.proportional = kilobyte_field(text, "Pss");
  use.private_dirty = kilobyte_field(text, "Private_Dirty");
  use.swapped = kilobyte_field(text, "Swap");
  return use;
}

std::optional<MemoryUse> read_memory_use(pid_t pid) {
  const auto text = read_of_process(pid, "smaps_rollup", limits::kProcFileBytes);
  if (!text) return std::nullopt;
  return parse_smaps_rollup(*text);
}

std::optional<std::uint64_t> resident_bytes(pid_t pid) {
  const auto text = read_of_process(pid, "status", limits::kProcFileBytes);
  if (!text) return std::nullopt;
  return kilobyte_field(*text, "VmRSS");
}

std::optional<Mapping> parse_mapping(std::string_view line) {
  // 7f12a0000000-7f12a8000000 rw-p 00001000 fe:00 1234   /path with spaces
  Mapping mapping;
  const std::string_view range = take_word(line);
  mapping.permissions = std::string(take_word(line));
  const auto offset = parse_hex(take_word(line));
  take_word(line);  // device
  take_word(line);  // inode
  const auto dash = range.find('-');
  if (dash == std::string_view::npos || !offset || mapping.permissions.size() != 4) return std::nullopt;
  const auto start = parse_hex(range.substr(0, dash));
  const auto end = parse_hex(range.substr(dash + 1));
  if (!start || !end || *end < *start) return std::nullopt;
  mapping.start = *start;
  mapping.end = *end;
  mapping.file_offset = *offset;
  const auto path = line.find_first_not_of(' ');
  if (path != std::string_view::npos) mapping.path = std::string(line.substr(path));
  return mapping;
}

std::vector<Mapping> find_mappings(pid_t pid, std::string_view path) {
  std::vector<Mapping> found;
  const auto text = read_of_process(pid, "maps", limits::kMapsFileBytes);
  if (!text) return found;
  for (const std::string_view line : split(*text, '\n')) {
    if (!line.ends_with(path)) continue;
    auto mapping = parse_mapping(line);
    if (mapping && mapping->path == path) found.push_back(std::move(*mapping));
  }
  return found;
}

MachineMemory parse_meminfo(std::string_view text) {
  MachineMemory memory;
  memory.total = kilobyte_field(text, "MemTotal");
  memory.available = kilobyte_field(text, "MemAvailable");
  memory.free = kilobyte_field(text, "MemFree");
  memory.cached = kilobyte_field(text, "Cached");
  return memory;
}

MachineMemory read_machine_memory() {
  return parse_meminfo(read_file("/proc/meminfo", limits::kProcFileBytes));
}

std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat) noexcept {
  // cpu  user nice system idle iowait irq softirq steal guest guest_nice
  constexpr std::size_t kIdle = 3, kIowait = 4, kSteal = 7;
  std::string_view line = proc_stat.substr(0, proc_stat.find('\n'));
  if (take_word(line) != "cpu") return std::nullopt;
  CpuTimes times;
  std::size_t field = 0;
  for (; field <= kSteal; ++field) {  // old kernels have fewer
    const std::string_view word = take_word(line);
    if (word.empty()) break;
    const auto ticks = parse_int<std::uint64_t>(word);
    if (!ticks) return std::nullopt;
    times.total += *ticks;
    if (field == kSteal) {
      times.stolen = *ticks;
    } else if (field != kIdle && field != kIowait) {
      times.busy += *ticks;
    }
  }
  if (field <= kIdle) return std::nullopt;
  return times;
}

CpuTimes read_cpu_times() {
  const auto times = parse_cpu_times(read_file("/proc/stat", limits::kProcFileBytes));
  if (!times) throw_error(ErrorCode::internal, "/proc/stat: its first line has an unknown form");
  return *times;
}

std::optional<double> busy_share(const CpuTimes& before, const CpuTimes& after) noexcept {
  if (after.total <= before.total || after.busy < before.busy) return std::nullopt;
  const double share =
      static_cast<double>(after.busy - before.busy) / static_cast<double>(after.total - before.total);
  return std::min(share, 1.0);
}

std::vector<OpenFd> own_open_fds() {
  std::vector<OpenFd> fds;
  for (const std::string& name : names_in("/proc/self/fd")) {
    const auto number = parse_int<int>(name);
    if (!number) continue;
    char target[PATH_MAX];
    const ssize_t length = ::readlink(("/proc/self/fd/" + name).c_str(), target, sizeof(target));
    if (length < 0) continue;  // the descriptor of the listing itself, closed by now
    fds.push_back({*number, std::string(target, static_cast<std::size_t>(length))});
  }
  return fds;
}

std::vector<pid_t> list_pids() {
  std::vector<pid_t> pids;
  for (const std::string& name : names_in("/proc"))
    if (const auto pid = parse_int<pid_t>(name)) pids.push_back(*pid);
  return pids;
}

}  // namespace wrenn::sys
