// What /proc says about processes and the machine. Parsers are separate from readers, so that they can be
// tested. Readers of a process are absent when it is gone; they throw SystemError for other failures.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::sys {

struct ProcStat {
  pid_t pid = 0;
  std::string name;  // as the process set it: may hold spaces, parentheses, newlines
  char state = '?';  // R S D Z T …
  pid_t parent = 0;
  std::uint64_t user_ticks = 0;  // clock ticks, see clock_ticks_per_second()
  std::uint64_t system_ticks = 0;
  std::uint64_t start_time = 0;  // clock ticks after boot
  int threads = 0;
};
std::optional<ProcStat> parse_proc_stat(std::string_view text);
std::optional<ProcStat> read_proc_stat(pid_t pid);
std::uint64_t clock_ticks_per_second() noexcept;

// All in bytes.
struct MemoryUse {
  std::uint64_t resident = 0;       // counts a shared page whole
  std::uint64_t proportional = 0;   // counts it by its share: sums over processes are right
  std::uint64_t private_dirty = 0;  // what would be freed if the process went
  std::uint64_t swapped = 0;
};
// From smaps_rollup: exact, but the kernel walks all mappings (some ms for a VMM).
std::optional<MemoryUse> read_memory_use(pid_t pid);
MemoryUse parse_smaps_rollup(std::string_view text);
// VmRSS only; cheap.
std::optional<std::uint64_t> resident_bytes(pid_t pid);

struct Mapping {
  std::uint64_t start = 0;  // addresses in the process
  std::uint64_t end = 0;
  std::uint64_t file_offset = 0;
  std::string permissions;  // "rw-p"
  std::string path;         // as the kernel prints it; empty for anonymous memory

  std::uint64_t length() const noexcept { return end - start; }
};
std::optional<Mapping> parse_mapping(std::string_view line);
// The mappings whose path is exactly `path`, by address. Empty also when the process is gone.
std::vector<Mapping> find_mappings(pid_t pid, std::string_view path);

// All in bytes.
struct MachineMemory {
  std::uint64_t total = 0;
  std::uint64_t available = 0;
  std::uint64_t free = 0;
  std::uint64_t cached = 0;
};
MachineMemory read_machine_memory();
MachineMemory parse_meminfo(std::string_view text);

// Of all CPUs together since the boot, in clock ticks (proc(5), the first line of /proc/stat).
struct CpuTimes {
  std::uint64_t busy = 0;    // user, nice, system, irq, softirq; what guests ran is part of user and nice
  std::uint64_t stolen = 0;  // the machine below us ran something else
  std::uint64_t total = 0;   // with these two, idle and iowait
};
// Absent when malformed.
std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat) noexcept;
// Throws SystemError, Error(internal) for an unknown form.
CpuTimes read_cpu_times();
// `busy` of all time between the two, 0 … 1. Absent when no time has passed or a counter went back, as iowait
// may (proc(5)), and all of them do when what shows /proc is another machine than before.
std::optional<double> busy_share(const CpuTimes& before, const CpuTimes& after) noexcept;

struct OpenFd {
  int number = -1;
  std::string target;  // "/path", "socket:[123]", …
};
std::vector<OpenFd> own_open_fds();

// Pids of all processes now. Throws SystemError.
std::vector<pid_t> list_pids();

}  // namespace wrenn::sys
