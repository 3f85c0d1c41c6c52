// What requests may ask for. Pure functions: a table of inputs is their test. All throw
// Error(invalid_argument) with the rule that was broken.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/envd.h"
#include "api/public.h"
#include "model/ids.h"

namespace wrenn::cp::service {

struct Bounds {
  std::int64_t vcpus_max;
  std::int64_t memory_mb_max;
};

struct CreateInput {
  std::string template_name;  // empty: the default
  std::int64_t vcpus = 0, memory_mb = 0, timeout_sec = 0;
  std::string boot;  // as the agent takes it: empty or "cold"
  std::map<std::string, std::string> metadata;
};
CreateInput admit_create(const api::CreateCapsule& request, const Bounds& bounds);

// "name=value", each; all of them together. Throws also for a name that comes with two values.
std::map<std::string, std::string> admit_label_filter(const std::vector<std::string>& texts);

struct ForkInput {
  std::int64_t count = 1;
  std::map<std::string, std::string> metadata;
  std::optional<std::int64_t> timeout_sec;  // absent: the parent's
};
ForkInput admit_fork(api::ForkCapsule request);

// A safe name that cannot be mistaken for a checkpoint's id. Empty is allowed.
std::string admit_checkpoint_name(std::string name);

struct SnapshotInput {
  model::SandboxId sandbox;
  std::string name;  // made up if the request has none
  bool overwrite = false;
  bool then_destroy = false;  // the capsule
};
// `overwrite` is the query's "true" or "false"; absent and "" count as false.
SnapshotInput admit_snapshot(const api::CreateSnapshot& request, std::string_view overwrite);
// Of a template.
void admit_template_name(std::string_view name);

// A path in the guest: not empty, no NUL, at most limits::kGuestPathBytes.
void admit_guest_path(std::string_view path);

// Environment of a process: names without '=' and NUL, values without NUL.
void admit_process(const std::string& cmd, const std::vector<std::string>& args,
                   const std::map<std::string, std::string>& envs, const std::string& cwd);

// "4242" → pid, anything else → tag (spec/rest-api.md §5).
api::envd::ProcessSelector parse_selector(std::string_view text);

// SIGTERM, SIGKILL and what else the guest takes: absent for another name.
std::optional<int> parse_signal(std::string_view name) noexcept;

// The N of `Prefer: wait=N` (RFC 7240), at most limits::kPreferWaitMax; absent if malformed or not there.
std::optional<std::chrono::seconds> parse_prefer_wait(std::string_view prefer) noexcept;

bool is_metrics_range(std::string_view range) noexcept;

}  // namespace wrenn::cp::service
