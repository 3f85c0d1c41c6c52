// Unlike the pass-through this is for strangers: nothing is added that would admit them. Requests to envd's
// own port come with the sandbox's access token or are refused by envd; what envd offers to its host only is
// not reachable from here.
//
// Programs of the guest get a connection for each request. A kept one could be closed by the program at the
// moment it is used again, and a request that must not be sent twice would be lost.
#include "agent/handlers/port_proxy.h"

#include "agent/limits.h"
#include "api/agent.h"
#include "api/envd.h"
#include "api/gateway.h"
#include "core/async/scope.h"
#include "core/http/proxy.h"
#include "core/log/log.h"

namespace wrenn::agent {

namespace {

using api::gateway::Refusal;
using async::Task;

struct Call {
  http::Request& request;
  http::Reply& reply;
  std::string sandbox_id;
  std::uint16_t port = 0;
};

http::ProxyOptions proxy_options(const Call& call, sandbox::Passage& passage) {
  http::ProxyOptions options;
  options.target = api::gateway::guest_target(call.request.target);
  // The guest's program sees the name that its user sees, so its links and redirects are right as they are.
  options.host = call.request.headers.get("Host").value_or("localhost");
  options.remove.emplace_back(api::agent::kTokenHeader);
  options.head_timeout = limits::kPortHead;
  options.on_bytes = [&passage] { passage.touch(); };
  return options;
}

// False: nobody listens there. A program that has just been started may need a moment.
Task<bool> connect(http::Client& client) {
  for (int tries = 1;; ++tries) {
    try {
      co_await client.prepare();
      co_return true;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::deadline_exceeded) co_return false;
      if (error.code() != ErrorCode::unavailable) throw;
    }
    if (tries == limits::kPortDialTries) co_return false;
    co_await async::sleep(limits::kPortDialPause * tries);
  }
}

Task<> forward_to_envd(Call& call, sandbox::Passage& passage) {
  const auto options = proxy_options(call, passage);
  co_await http::proxy(call.request, call.reply, passage.guest().client(), options);
}

Task<> forward_to_program(Call& call, sandbox::Passage& passage, std::optional<Refusal>& refusal) {
  http::ClientOptions client_options;
  client_options.connect_timeout = limits::kPortConnect;
  client_options.idle_connections_max = 1;
  const auto executor = co_await asio::this_coro::executor;
  http::Client client(executor, net::Address::tcp(passage.guest().address().host(), call.port),
                      client_options);
  if (!co_await connect(client)) {
    refusal = api::gateway::port_closed(call.sandbox_id, call.port);
    co_return;
  }
  auto options = proxy_options(call, passage);
  options.set.set("Connection", "close");
  co_await http::proxy(call.request, call.reply, client, options);
}

Refusal refusal_of(const Call& call, const Error& error) {
  const auto told = [&](int status, std::string message) {
    return Refusal{status, std::move(message), call.sandbox_id, call.port};
  };
  switch (error.code()) {
    case ErrorCode::invalid_argument:
      return told(502, "The program at this port sent an answer that is no HTTP");
    case ErrorCode::unavailable:
      return told(502, "The program at this port closed the connection without an answer");
    case ErrorCode::deadline_exceeded:
      return told(504, "The program at this port did not answer in time");
    case ErrorCode::resource_exhausted:
      return told(503, "The host of the sandbox has no connections left");
    default:
      log::warn(
          "a request to a port failed",
          {{"sandbox_id", call.sandbox_id}, {"port", static_cast<int>(call.port)}, {"error", error.what()}});
      return told(502, "The request could not be passed on");
  }
}

// Into the running sandbox; otherwise what the client is told.
Task<std::unique_ptr<sandbox::Passage>> enter(sandbox::Registry& registry, const Call& call,
                                              std::optional<Refusal>& refusal) {
  std::shared_ptr<sandbox::Driver> driver;
  try {
    driver = registry.get(call.sandbox_id);
    co_return co_await driver->enter();
  } catch (const Error& failure) {
    if (failure.code() == ErrorCode::canceled) throw;
    using enum model::SandboxState;
    const auto state = driver ? driver->state() : stopped;
    const bool changing = state == starting || state == resuming;
    refusal = changing ? api::gateway::sandbox_changing(call.sandbox_id, to_string(state))
                       : api::gateway::sandbox_not_found(call.sandbox_id);
    co_return nullptr;
  }
}

// Until the answer has been passed on, or until the sandbox is about to stand still.
Task<std::optional<Refusal>> pass(Call& call, sandbox::Passage& passage) {
  std::optional<Refusal> refusal;
  std::exception_ptr failure;
  int first = 0;
  try {
    auto forwarding = call.port == api::envd::kPort ? forward_to_envd(call, passage)
                                                    : forward_to_program(call, passage, refusal);
    auto cut = passage.gate().wait_cut();
    first = co_await async::first_of(std::move(forwarding), std::move(cut));
  } catch (const Error& error) {
    failure = std::current_exception();
    if (error.code() != ErrorCode::canceled) refusal = refusal_of(call, error);
  }
  if (first == 1 || passage.gate().was_cut()) {
    if (call.reply.started()) throw Error(ErrorCode::unavailable, passage.gate().why());
    co_return api::gateway::sandbox_not_found(call.sandbox_id);
  }
  // With half an answer sent there is nothing left to say; with the client gone, nobody to say it to.
  if (failure && (call.reply.started() || !refusal)) std::rethrow_exception(failure);
  co_return refusal;
}

Task<> refuse(Call& call, const Refusal& refusal) {
  auto response = api::gateway::render(refusal, call.request);
  co_await call.reply.send(std::move(response));
}

Task<> port_proxy(sandbox::Host& host, sandbox::Registry& registry, http::Request& request,
                  http::Reply& reply) {
  const auto port = api::gateway::parse_port(request.params.find("port")->second);
  Call call{request, reply, request.params.find("id")->second, port.value_or(0)};
  if (!port) {
    co_await refuse(call, {400, "invalid port", call.sandbox_id, std::nullopt});
    co_return;
  }
  const std::string target = api::gateway::guest_target(request.target);
  const std::string_view path = std::string_view(target).substr(0, target.find('?'));
  if (*port == api::envd::kPort && api::gateway::is_internal_envd_path(path)) {
    auto response = api::gateway::internal_path(path);
    co_await reply.send(std::move(response));
    host.figures.port_request("refused");
    co_return;
  }
  std::optional<Refusal> refusal;
  const auto passage = co_await enter(registry, call, refusal);
  if (passage && passage->gate().inside() > limits::kSandboxRequests) {
    refusal = Refusal{429, "Too many connections to the sandbox", call.sandbox_id, std::nullopt};
  } else if (passage) {
    std::exception_ptr failure;
    try {
      refusal = co_await pass(call, *passage);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      host.figures.port_request(passage->gate().was_cut() ? "cut" : "error");
      std::rethrow_exception(failure);
    }
  }
  host.figures.port_request(refusal ? "refused" : "success");
  if (refusal) co_await refuse(call, *refusal);
}

}  // namespace

void add_port_proxy_routes(http::Router& router, sandbox::Host& host, sandbox::Registry& registry) {
  router.add("*", "/proxy/{id}/{port}/{rest...}",
             [&host, &registry](http::Request& request, http::Reply& reply) {
               return port_proxy(host, registry, request, reply);
             });
}

}  // namespace wrenn::agent
