#include "cp/handlers/exit_signal.h"

#include <array>
#include <csignal>
#include <utility>

#include "core/base/text.h"

namespace wrenn::cp::handlers {

std::optional<int> signal_of_status(std::string_view status) noexcept {
  static constexpr std::string_view kPrefix = "signal: ";
  static constexpr std::string_view kNumber = "signal ";
  static constexpr std::string_view kDumped = " (core dumped)";
  static constexpr std::array<std::pair<std::string_view, int>, 15> kNames{{
      {"hangup", SIGHUP},
      {"interrupt", SIGINT},
      {"quit", SIGQUIT},
      {"illegal instruction", SIGILL},
      {"trace/breakpoint trap", SIGTRAP},
      {"aborted", SIGABRT},
      {"bus error", SIGBUS},
      {"floating point exception", SIGFPE},
      {"killed", SIGKILL},
      {"user defined signal 1", SIGUSR1},
      {"segmentation fault", SIGSEGV},
      {"user defined signal 2", SIGUSR2},
      {"broken pipe", SIGPIPE},
      {"alarm clock", SIGALRM},
      {"terminated", SIGTERM},
  }};
  if (!status.starts_with(kPrefix)) return std::nullopt;
  status.remove_prefix(kPrefix.size());
  if (status.ends_with(kDumped)) status.remove_suffix(kDumped.size());
  for (const auto& [name, number] : kNames)
    if (name == status) return number;
  if (!status.starts_with(kNumber)) return std::nullopt;
  const auto number = parse_int<int>(status.substr(kNumber.size()));
  return number && *number > 0 && *number < 128 ? number : std::nullopt;
}

}  // namespace wrenn::cp::handlers
