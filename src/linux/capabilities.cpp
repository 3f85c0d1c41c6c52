#include "linux/capabilities.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "core/base/error.h"
#include "core/base/text.h"
#include "linux/fd.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

// By number, as in <linux/capability.h>.
constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};

}  // namespace

std::optional<CapabilitySet> parse_effective_capabilities(std::string_view status) {
  for (std::string_view line : split(status, '\n')) {
    if (!line.starts_with("CapEff:")) continue;
    line = trim(line.substr(7));
    CapabilitySet set = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), set, 16);
    if (line.empty() || error != std::errc() || end != line.data() + line.size()) return std::nullopt;
    return set;
  }
  return std::nullopt;
}

CapabilitySet effective_capabilities() {
  const auto set = parse_effective_capabilities(read_file("/proc/self/status", limits::kProcFileBytes));
  if (!set) throw_error(ErrorCode::internal, "/proc/self/status has no CapEff line");
  return *set;
}

std::string capability_name(int number) {
  if (number >= 0 && static_cast<std::size_t>(number) < kNames.size())
    return fmt::format("CAP_{}", kNames[static_cast<std::size_t>(number)]);
  return fmt::format("CAP_{}", number);
}

std::vector<std::string> missing_capabilities(CapabilitySet set, const std::vector<int>& required) {
  std::vector<std::string> missing;
  for (const int number : required)
    if ((set >> number & 1) == 0) missing.push_back(capability_name(number));
  return missing;
}

}  // namespace wrenn::sys
