#include "cp/service/admission.h"

#include <algorithm>
#include <array>
#include <csignal>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "cp/limits.h"

namespace wrenn::cp::service {

static constexpr std::string_view kNameRule =
    "a name is 1 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit";

static bool has_nul(std::string_view text) noexcept {
  return text.find('\0') != std::string_view::npos;
}

static void admit_timeout(std::int64_t timeout_sec) {
  if (timeout_sec < 0 || timeout_sec > limits::kIdleTimeoutSecMax)
    throw_error(ErrorCode::invalid_argument, "timeout_sec: from 0 (never) to {}, not {}",
                limits::kIdleTimeoutSecMax, timeout_sec);
}

// The program's own entries stand beside the user's: versions, and why a capsule does not run.
static bool is_reserved_metadata(std::string_view name) noexcept {
  return name == "reason" || name.ends_with("_version");
}

static void admit_metadata(const std::map<std::string, std::string>& metadata) {
  if (metadata.size() > limits::kMetadataEntries)
    throw_error(ErrorCode::invalid_argument, "metadata: at most {} entries, not {}", limits::kMetadataEntries,
                metadata.size());
  for (const auto& [name, value] : metadata) {
    if (name.empty() || name.size() > limits::kMetadataNameBytes)
      throw_error(ErrorCode::invalid_argument, "metadata: a name has 1 to {} bytes",
                  limits::kMetadataNameBytes);
    if (is_reserved_metadata(name))
      throw_error(ErrorCode::invalid_argument, "metadata: {} is told by the system", name);
    if (value.size() > limits::kMetadataValueBytes)
      throw_error(ErrorCode::invalid_argument, "metadata.{}: at most {} bytes", name,
                  limits::kMetadataValueBytes);
    if (has_nul(name) || has_nul(value))
      throw_error(ErrorCode::invalid_argument, "metadata must not contain a NUL character");
  }
}

CreateInput admit_create(const api::CreateCapsule& request, const Bounds& bounds) {
  CreateInput input;
  if (!request.template_name.empty() && !is_safe_name(request.template_name))
    throw_error(ErrorCode::invalid_argument, "template: {}", kNameRule);
  input.template_name = request.template_name;
  input.vcpus = request.vcpus <= 0 ? limits::kDefaultVcpus : request.vcpus;
  if (input.vcpus > bounds.vcpus_max)
    throw_error(ErrorCode::invalid_argument, "vcpus: at most {}, not {}", bounds.vcpus_max, input.vcpus);
  input.memory_mb = request.memory_mb <= 0 ? limits::kDefaultMemoryMb : request.memory_mb;
  if (input.memory_mb < limits::kMemoryMbMin || input.memory_mb > bounds.memory_mb_max)
    throw_error(ErrorCode::invalid_argument, "memory_mb: from {} to {}, not {}", limits::kMemoryMbMin,
                bounds.memory_mb_max, input.memory_mb);
  admit_timeout(request.timeout_sec);
  input.timeout_sec = request.timeout_sec;
  if (!request.boot.empty() && request.boot != "auto" && request.boot != "cold")
    throw_error(ErrorCode::invalid_argument, "boot: must be auto or cold");
  if (request.boot == "cold") input.boot = request.boot;
  admit_metadata(request.metadata);
  input.metadata = request.metadata;
  return input;
}

std::map<std::string, std::string> admit_label_filter(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> labels;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw_error(ErrorCode::invalid_argument, "metadata: a filter is name=value, not \"{}\"", text);
    if (!labels.emplace(text.substr(0, equals), text.substr(equals + 1)).second)
      throw_error(ErrorCode::invalid_argument, "metadata: {} is given twice", text.substr(0, equals));
  }
  admit_metadata(labels);
  return labels;
}

ForkInput admit_fork(api::ForkCapsule request) {
  if (request.count < 1 || request.count > limits::kForkChildren)
    throw_error(ErrorCode::invalid_argument, "count: from 1 to {}, not {}", limits::kForkChildren,
                request.count);
  if (request.timeout_sec) admit_timeout(*request.timeout_sec);
  admit_metadata(request.metadata);
  return {request.count, std::move(request.metadata), request.timeout_sec};
}

std::string admit_checkpoint_name(std::string name) {
  if (name.empty()) return name;
  if (!is_safe_name(name)) throw_error(ErrorCode::invalid_argument, "name: {}", kNameRule);
  if (model::CheckpointId::parse(name))
    throw_error(ErrorCode::invalid_argument, "name: {} looks like the id of a checkpoint", name);
  return name;
}

void admit_template_name(std::string_view name) {
  if (!is_safe_name(name)) throw_error(ErrorCode::invalid_argument, "name: {}", kNameRule);
}

static std::string made_up_template_name() {
  const auto bytes = random_id_bytes();
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), 4);
  return "template-" + hex_encode(view);
}

SnapshotInput admit_snapshot(const api::CreateSnapshot& request, std::string_view overwrite) {
  SnapshotInput input;
  if (request.sandbox_id.empty()) throw_error(ErrorCode::invalid_argument, "sandbox_id is required");
  const auto sandbox = model::SandboxId::parse(request.sandbox_id);
  if (!sandbox) throw_error(ErrorCode::invalid_argument, "sandbox_id: invalid sandbox ID");
  input.sandbox = *sandbox;
  if (!request.name.empty()) admit_template_name(request.name);
  input.name = request.name.empty() ? made_up_template_name() : request.name;
  if (!overwrite.empty() && overwrite != "true" && overwrite != "false")
    throw_error(ErrorCode::invalid_argument, "overwrite: must be true or false");
  input.overwrite = overwrite == "true";
  return input;
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
