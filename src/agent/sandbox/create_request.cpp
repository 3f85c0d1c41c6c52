#include "agent/sandbox/create_request.h"

#include "agent/limits.h"
#include "core/base/clock.h"

namespace wrenn::agent::sandbox {

namespace {

template <typename T>
T in_range(const char* field, T value, T fallback, std::int64_t low, std::int64_t high) {
  if (value <= 0) return fallback;
  if (value < low || value > high)
    throw_error(ErrorCode::invalid_argument, "field {}: must be between {} and {}", field, low, high);
  return value;
}

// "" is the platform team.
model::TeamId parse_team(const char* field, const std::string& text) {
  if (text.empty()) return model::kPlatformTeam;
  if (const auto id = model::TeamId::parse(text)) return *id;
  if (const auto bytes = parse_base36(text)) return model::TeamId(*bytes);
  throw_error(ErrorCode::invalid_argument, "field {}: not a team id", field);
}

}  // namespace

void check_sandbox_id(const std::string& text) {
  if (!model::SandboxId::parse(text))
    throw_error(ErrorCode::invalid_argument, "field sandboxId: must be \"cl-\" and 25 base36 digits");
}

void check_timeout(std::int64_t seconds) {
  if (seconds < 0 || seconds > limits::kTimeoutSecondsMax)
    throw_error(ErrorCode::invalid_argument, "field timeoutSec: must be between 0 and {}",
                limits::kTimeoutSecondsMax);
}

CreatePlan plan_create(const api::agent::CreateSandboxRequest& request) {
  check_sandbox_id(request.sandbox_id);
  check_timeout(request.timeout_sec);
  const auto template_id = model::TemplateId::parse(request.template_id);
  if (!template_id) throw_error(ErrorCode::invalid_argument, "field templateId: must be 25 base36 digits");

  CreatePlan plan;
  plan.template_team = parse_team("templateTeamId", request.template_team_id);
  plan.template_id = *template_id;
  (void)parse_team("teamId", request.team_id);

  const api::agent::CreateSandboxRequest defaults;
  Record& record = plan.record;
  record.sandbox_id = request.sandbox_id;
  record.created_at_us = now().us;
  record.team_id = request.team_id;
  record.template_id = request.template_id;
  record.template_team_id = plan.template_team.digits();
  record.vcpus = in_range<std::int32_t>("vcpus", request.vcpus, defaults.vcpus, 1, limits::kVcpusMax);
  record.memory_mb = in_range<std::int32_t>("memoryMb", request.memory_mb, defaults.memory_mb,
                                            limits::kMemoryMinMib, limits::kMemoryMaxMib);
  record.disk_size_mb = in_range<std::int32_t>("diskSizeMb", request.disk_size_mb, defaults.disk_size_mb, 1,
                                               limits::kDiskMaxMib);
  record.timeout_sec = request.timeout_sec;
  record.default_user = request.default_user;
  record.default_env = request.default_env;
  record.metadata = request.metadata;
  if (!request.boot.empty() && request.boot != "auto" && request.boot != "cold")
    throw_error(ErrorCode::invalid_argument, "field boot: must be \"auto\" or \"cold\"");
  if (request.boot == "cold") record.boot = "cold";
  return plan;
}

}  // namespace wrenn::agent::sandbox
