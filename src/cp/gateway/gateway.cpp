#include "cp/gateway/gateway.h"

#include "api/errors.h"
#include "api/gateway.h"
#include "core/async/scope.h"
#include "core/http/proxy.h"
#include "core/log/log.h"
#include "cp/gateway/forwarded.h"
#include "cp/limits.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::gateway {

namespace {

using api::gateway::Refusal;

Refusal refusal_of(const Destination& destination, std::exception_ptr failure) {
  const auto told = [&](int status, std::string message) {
    return Refusal{status, std::move(message), destination.sandbox_id, std::nullopt};
  };
  switch (code_of(failure)) {
    case ErrorCode::invalid_argument:
      return told(400, describe(failure));
    // The body stalled, or nobody answered.
    case ErrorCode::deadline_exceeded:
      return told(504, "The sandbox did not answer in time");
    case ErrorCode::unavailable:
      return told(503, "The host of the sandbox does not answer");
    default:
      log::error("a request to a guest failed",
                 {{"sandbox_id", destination.sandbox_id}, {"error", describe(failure)}});
      return told(502, "The request could not be passed on");
  }
}

Task<> refuse(const Refusal& refusal, http::Request& request, http::Reply& reply) {
  auto response = api::gateway::render(refusal, request);
  co_await reply.send(std::move(response));
}

}  // namespace

Task<> Gateway::handle(http::Request& request, http::Reply& reply, Destination destination) {
  const auto start = SteadyClock::now();
  std::exception_ptr failure;
  try {
    co_await pass(request, reply, destination);
  } catch (...) {
    failure = std::current_exception();
  }
  const bool gone = failure && code_of(failure) == ErrorCode::canceled;
  note(request, destination, !failure ? "answered" : gone ? "client gone" : "error", start);
  if (!failure) co_return;
  // With half an answer sent the server cuts the connection, so that the client notices.
  if (gone || reply.started()) std::rethrow_exception(failure);
  const auto refusal = refusal_of(destination, failure);
  co_await refuse(refusal, request, reply);
}

Task<> Gateway::pass(http::Request& request, http::Reply& reply, const Destination& destination) {
  if (destination.kind == Destination::Kind::refused) {
    const Refusal refusal{400, destination.refusal, {}, std::nullopt};
    co_await refuse(refusal, request, reply);
    co_return;
  }
  if (!request.target.starts_with('/')) {  // OPTIONS *
    const Refusal refusal{400, "the target * is for servers, not for sandboxes", destination.sandbox_id, {}};
    co_await refuse(refusal, request, reply);
    co_return;
  }
  auto forwarding = forward(request, reply, destination);
  auto shutdown = until_shutdown();
  const int first = co_await async::first_of(std::move(forwarding), std::move(shutdown));
  if (first == 1) throw Error(ErrorCode::unavailable, "the control plane is going away");
}

Task<std::optional<model::HostId>> Gateway::host_of(const Destination& destination) {
  if (!destination.id) co_return std::nullopt;
  const auto known = known_.find(*destination.id);
  if (known != known_.end() && SteadyClock::now() < known->second.until) co_return known->second.host;
  auto find = [&destination](db::Connection& connection) {
    return store::find_sandbox(connection, *destination.id);
  };
  const auto row = co_await database_.read(find);
  // Of every other state the host knows more than the row.
  if (!row || row->status == model::SandboxState::stopped) {
    known_.erase(*destination.id);
    co_return std::nullopt;
  }
  if (known_.size() >= limits::kGatewayKnown) known_.clear();
  known_[row->id] = {row->host, SteadyClock::now() + limits::kGatewayKnownFor};
  co_return row->host;
}

Task<> Gateway::forward(http::Request& request, http::Reply& reply, const Destination& destination) {
  const auto host = co_await host_of(destination);
  if (!host) {
    const auto refusal = api::gateway::sandbox_not_found(destination.sandbox_id);
    co_await refuse(refusal, request, reply);
    co_return;
  }
  http::ProxyOptions options;
  options.target = api::gateway::agent_target(destination.id->text(), destination.port, request.target);
  options.host = request.headers.get("Host").value_or("localhost");
  options.head_timeout = limits::kGatewayHead;
  set_forwarded_fields(options, request);
  co_await http::proxy(request, reply, hosts_.at(*host).client, options);
}

// What runs may end by itself for a moment; streams would last as long as their users like.
Task<> Gateway::until_shutdown() {
  co_await shutdown_.wait();
  co_await async::sleep(limits::kGatewayGrace);
}

void Gateway::note(const http::Request& request, const Destination& destination, std::string_view outcome,
                   SteadyTime start) {
  metrics_
      .counter("wrenn_cp_gateway_requests_total", "Requests to ports of guests.",
               {{"outcome", std::string(outcome)}})
      .add();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - start).count();
  log::debug("request to a guest", {{"sandbox_id", destination.sandbox_id},
                                    {"port", static_cast<int>(destination.port)},
                                    {"method", request.method},
                                    {"outcome", outcome},
                                    {"ms", ms},
                                    {"peer", request.peer}});
}

}  // namespace wrenn::cp::gateway
