#include "cp/service/changes.h"

#include "cp/service/settle.h"

namespace wrenn::cp::service {

UnixTime after(UnixTime at, std::chrono::microseconds duration) noexcept {
  return {at.us + duration.count()};
}

UnixTime before(UnixTime at, std::chrono::microseconds duration) noexcept {
  return {at.us - duration.count()};
}

store::Change change_to(SandboxState to, std::string reason) {
  store::Change change;
  change.to = to;
  change.reason = std::move(reason);
  return change;
}

store::Change begin_to(SandboxState to, std::chrono::microseconds deadline, model::Actor by) {
  auto change = change_to(to);
  change.by = std::move(by);
  change.deadline = after(now(), deadline);
  return change;
}

store::Change running_from(const api::agent::SandboxInfo& info, UnixTime at) {
  auto change = change_to(SandboxState::running);
  change.host_ip = info.host_ip;
  change.metadata = metadata_json(info.metadata);
  if (!info.access_token.empty()) change.access_token = info.access_token;
  change.started_at = at;
  change.last_active_at = at;
  return change;
}

}  // namespace wrenn::cp::service
