#include "cp/service/admission.h"

#include <algorithm>
#include <array>
#include <csignal>

#include "core/base/error.h"
#include "core/base/text.h"
#include "cp/limits.h"

namespace wrenn::cp::service {

CreateInput admit_create(const api::CreateCapsule& request, const Bounds& bounds) {
  CreateInput input;
  if (!request.template_name.empty() && !is_safe_name(request.template_name))
    throw_error(ErrorCode::invalid_argument,
                "template: a name is 1 to 64 letters, digits, dots, underscores and hyphens, and begins with "
                "a letter "
                "or digit");
  input.template_name = request.template_name;
  input.vcpus = request.vcpus <= 0 ? limits::kDefaultVcpus : request.vcpus;
  if (input.vcpus > bounds.vcpus_max)
    throw_error(ErrorCode::invalid_argument, "vcpus: at most {}, not {}", bounds.vcpus_max, input.vcpus);
  input.memory_mb = request.memory_mb <= 0 ? limits::kDefaultMemoryMb : request.memory_mb;
  if (input.memory_mb < limits::kMemoryMbMin || input.memory_mb > bounds.memory_mb_max)
    throw_error(ErrorCode::invalid_argument, "memory_mb: from {} to {}, not {}", limits::kMemoryMbMin,
                bounds.memory_mb_max, input.memory_mb);
  if (request.timeout_sec < 0 || request.timeout_sec > limits::kIdleTimeoutSecMax)
    throw_error(ErrorCode::invalid_argument, "timeout_sec: from 0 (never) to {}, not {}",
                limits::kIdleTimeoutSecMax, request.timeout_sec);
  input.timeout_sec = request.timeout_sec;
  return input;
}

static bool has_nul(std::string_view text) noexcept {
  return text.find('\0') != std::string_view::npos;
}

void admit_guest_path(std::string_view path) {
  if (path.empty()) throw_error(ErrorCode::invalid_argument, "path is required");
  if (has_nul(path)) throw_error(ErrorCode::invalid_argument, "path: must not contain a NUL character");
  if (path.size() > limits::kGuestPathBytes)
    throw_error(ErrorCode::invalid_argument, "path: at most {} bytes, not {}", limits::kGuestPathBytes,
                path.size());
}

void admit_process(const std::string& cmd, const std::vector<std::string>& args,
                   const std::map<std::string, std::string>& envs, const std::string& cwd) {
  if (cmd.empty()) throw_error(ErrorCode::invalid_argument, "cmd is required");
  if (has_nul(cmd) || has_nul(cwd) || std::any_of(args.begin(), args.end(), has_nul))
    throw_error(ErrorCode::invalid_argument, "cmd, args and cwd must not contain a NUL character");
  for (const auto& [name, value] : envs)
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value))
      throw_error(ErrorCode::invalid_argument,
                  "envs: a name must not be empty or contain '=', and nothing may contain a NUL character");
}

api::envd::ProcessSelector parse_selector(std::string_view text) {
  api::envd::ProcessSelector selector;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || has_nul(text))
    throw_error(ErrorCode::invalid_argument, "invalid process selector: must be a pid or a tag");
  if (!std::all_of(text.begin(), text.end(), is_digit)) {
    selector.tag = std::string(text);
    return selector;
  }
  selector.pid = parse_int<std::uint32_t>(text);
  if (!selector.pid) throw_error(ErrorCode::invalid_argument, "invalid process selector: {} is no pid", text);
  return selector;
}

std::optional<int> parse_signal(std::string_view name) noexcept {
  static constexpr std::array<std::pair<std::string_view, int>, 7> kSignals{{{"SIGTERM", SIGTERM},
                                                                             {"SIGKILL", SIGKILL},
                                                                             {"SIGINT", SIGINT},
                                                                             {"SIGHUP", SIGHUP},
                                                                             {"SIGQUIT", SIGQUIT},
                                                                             {"SIGUSR1", SIGUSR1},
                                                                             {"SIGUSR2", SIGUSR2}}};
  for (const auto& [known, number] : kSignals)
    if (known == name) return number;
  return std::nullopt;
}

std::optional<std::chrono::seconds> parse_prefer_wait(std::string_view prefer) noexcept {
  // "respond-async, wait=10; foo" — preferences are separated by commas, their parameters by semicolons.
  while (!prefer.empty()) {
    const auto comma = std::min(prefer.find(','), prefer.size());
    auto one = trim(prefer.substr(0, comma));
    prefer.remove_prefix(std::min(comma + 1, prefer.size()));
    one = trim(one.substr(0, one.find(';')));
    const auto equals = one.find('=');
    if (equals == std::string_view::npos || !equals_ignoring_case(trim(one.substr(0, equals)), "wait"))
      continue;
    auto value = trim(one.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    const auto seconds = parse_int<std::int64_t>(value);
    if (!seconds || *seconds < 0) return std::nullopt;
    return std::chrono::seconds(std::min<std::int64_t>(*seconds, limits::kPreferWaitMax.count()));
  }
  return std::nullopt;
}

bool is_metrics_range(std::string_view range) noexcept {
  static constexpr std::array<std::string_view, 7> kRanges{"5m", "10m", "1h", "2h", "6h", "12h", "24h"};
  return std::find(kRanges.begin(), kRanges.end(), range) != kRanges.end();
}

}  // namespace wrenn::cp::service
