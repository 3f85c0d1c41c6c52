#include "envd/init_endpoint.h"

#include "api/envd.h"
#include "core/base/error.h"
#include "core/log/log.h"
#include "envd/guest_identity.h"
#include "envd/limits.h"
#include "linux/ipv4.h"

namespace wrenn::envd {

using api::envd::InitRequest;
using async::Task;

namespace {

void check_text(std::string_view field, const std::optional<std::string>& text, std::size_t limit) {
  if (!text) return;
  if (text->size() > limit)
    throw_error(ErrorCode::invalid_argument, "field {}: {} bytes, at most {}", field, text->size(), limit);
  if (text->find('\0') != std::string::npos || text->find('\n') != std::string::npos)
    throw_error(ErrorCode::invalid_argument, "field {}: must hold no NUL and no line break", field);
}

// Returns the host's time, if it is given.
std::optional<UnixTime> check(const InitRequest& message) {
  check_text("accessToken", message.access_token, limits::kTokenBytes);
  check_text("defaultUser", message.default_user, limits::kUserNameBytes);
  check_text("defaultWorkdir", message.default_workdir, limits::kPathBytes);
  check_text("sandboxId", message.sandbox_id, limits::kUserNameBytes);
  check_text("templateId", message.template_id, limits::kUserNameBytes);
  check_env(message.env_vars);
  if (message.hostname && !is_host_name(*message.hostname))
    throw_error(ErrorCode::invalid_argument,
                "field hostname: letters, digits, '-' and '.', at most {}, ends in a letter or digit",
                limits::kHostNameBytes);
  if (message.machine_id && !is_machine_id(*message.machine_id))
    throw_error(ErrorCode::invalid_argument, "field machineId: must be 32 lower-case hex digits");
  if (message.entropy && message.entropy->data.size() > limits::kEntropyBytes)
    throw_error(ErrorCode::invalid_argument, "field entropy: at most {} bytes", limits::kEntropyBytes);
  for (const auto& address : {message.hyperloop_ip, message.hyperloop_ip_e2b})
    if (address && !address->empty() && !sys::parse_ipv4(*address))
      throw_error(ErrorCode::invalid_argument, "field hyperloopIp: must be an IPv4 address");
  if (!message.timestamp || message.timestamp->empty()) return std::nullopt;
  const auto time = parse_rfc3339(*message.timestamp);
  if (!time)
    throw_error(ErrorCode::invalid_argument,
                "field timestamp: must be RFC 3339, e.g. 2026-05-19T14:23:01.5Z");
  return time;
}

void set_id(Defaults& defaults, std::string_view name, const std::optional<std::string>& value) {
  if (!value) return;
  defaults.env[fmt::format("WRENN_{}", name)] = *value;
  defaults.env[fmt::format("E2B_{}", name)] = *value;
}

// Empty without one.
std::string events_address(const InitRequest& message) {
  const auto& given = message.hyperloop_ip ? message.hyperloop_ip : message.hyperloop_ip_e2b;
  return given.value_or("");
}

template <typename Step>
void attempt(std::string_view what, Step step) noexcept {
  try {
    step();
  } catch (const std::exception& error) {
    log::warn("init: a step failed", {{"step", what}, {"error", error.what()}});
  }
}

// The first things that everything else may depend on, of every message: a resumed machine has slept too. A
// step that fails is logged and the others are made: a guest with a wrong name is better than none.
void refresh_machine(const InitRequest& message, std::optional<UnixTime> time) {
  // Whatever the host sends makes clones differ; the token and `entropy` are also unknown to others.
  std::string seed = message.entropy ? message.entropy->data : std::string();
  seed +=
      message.access_token.value_or("") + message.sandbox_id.value_or("") + message.timestamp.value_or("");
  if (!seed.empty()) attempt("random", [&] { reseed_random(seed); });
  if (time) attempt("clock", [&] { adjust_clock(*time); });
}

// Returns whether host keys are missing now that were there.
bool change_identity(const InitRequest& message) {
  bool missing = false;
  if (message.machine_id) {
    attempt("machine id", [&] {
      // What this machine was before stands on its disk, also for an envd that was restarted.
      const bool other = set_machine_id("", *message.machine_id);
      if (other && *message.machine_id != api::envd::kNobodysMachine) missing = remove_ssh_host_keys("");
    });
  }
  if (message.hostname) attempt("hostname", [&] { set_host_name(*message.hostname); });
  const std::string events = events_address(message);
  if (!events.empty()) attempt("events", [&] { set_events_address(events); });
  if (message.sandbox_id) attempt("marker", [&] { write_marker("SANDBOX_ID", *message.sandbox_id); });
  if (message.template_id) attempt("marker", [&] { write_marker("TEMPLATE_ID", *message.template_id); });
  return missing;
}

http::Response accepted() {
  http::Response response;
  response.status = 204;
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Envd-Version", api::envd::kVersion);
  return response;
}

}  // namespace

bool InitEndpoint::is_stale(const InitRequest& message, std::optional<UnixTime> time) const {
  if (!time || !last_time_ || message.sandbox_id.value_or(sandbox_id_) != sandbox_id_) return false;
  const std::chrono::microseconds behind(last_time_->us - time->us);
  return behind.count() >= 0 && behind < limits::kInitReorder;
}

void InitEndpoint::remember(const InitRequest& message, std::optional<UnixTime> time) {
  if (time) last_time_ = time;
  if (message.sandbox_id) sandbox_id_ = *message.sandbox_id;
}

Task<> InitEndpoint::handle(http::Request& request, http::Reply& reply) {
  const std::string body = co_await request.body->read_all(limits::kInitBodyBytes);
  const auto message = body.empty() ? InitRequest{} : json::from_json<InitRequest>(body);
  const bool may = token_.admits(request) || (message.access_token && token_.equals(*message.access_token));
  if (!may)
    throw_error(ErrorCode::unauthenticated, "access token validation failed: /init needs the current token");
  const auto time = check(message);
  if (is_stale(message, time)) {
    log::info("init: not newer than the last one, so nothing changes", {{"timestamp", *message.timestamp}});
    hooks_.done();
    auto response = accepted();
    co_await reply.send(std::move(response));
    co_return;
  }
  const bool same = message.sandbox_id && !sandbox_id_.empty() && *message.sandbox_id == sandbox_id_;
  remember(message, time);

  for (const auto& [name, value] : message.env_vars) defaults_.env[name] = value;
  set_id(defaults_, "SANDBOX_ID", message.sandbox_id);
  set_id(defaults_, "TEMPLATE_ID", message.template_id);
  const std::string events = events_address(message);
  if (!events.empty())
    for (const char* name : {"WRENN_EVENTS_ADDRESS", "E2B_EVENTS_ADDRESS"})
      defaults_.env[name] = "http://" + events;
  if (message.default_user && !message.default_user->empty()) defaults_.user = *message.default_user;
  if (message.default_workdir) defaults_.workdir = *message.default_workdir;
  if (message.access_token) token_.set(Secret(*message.access_token));
  // All on this thread: a change of threads costs an emulated machine more than the few lines that are
  // written. A clone is another machine than the one it was made from; a resumed one is not.
  if (in_guest_) {
    refresh_machine(message, time);
    if (!same) {
      hooks_.before_writes();
      if (change_identity(message)) lost_keys_.notify_all();
    }
  }

  hooks_.done();
  auto response = accepted();
  co_await reply.send(std::move(response));
}

Task<> InitEndpoint::replace_keys() {
  for (;;) {
    co_await lost_keys_.wait();
    try {
      auto make = [] { make_ssh_host_keys(); };
      co_await async::offload(threads_, std::move(make));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::warn("this machine has no SSH host keys now: run ssh-keygen -A", {{"error", error.what()}});
    }
  }
}

}  // namespace wrenn::envd
