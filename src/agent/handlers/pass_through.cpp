#include "agent/handlers/pass_through.h"

#include "api/agent.h"
#include "api/envd.h"
#include "core/async/scope.h"
#include "core/http/proxy.h"

namespace wrenn::agent {

namespace {

using async::Task;

Task<> forward(http::Request& request, http::Reply& reply, sandbox::Passage& passage) {
  http::ProxyOptions options;
  options.target = guest_target(request.target);
  options.host = "localhost";
  options.set.set(api::envd::kTokenHeader, passage.guest().access_token());
  options.remove.emplace_back(api::agent::kTokenHeader);
  options.on_bytes = [&passage] { passage.touch(); };
  co_await http::proxy(request, reply, passage.guest().client(), options);
}

// The request ends with its answer, or when the sandbox is about to stand still: then a client that has no
// answer yet gets an error that says so, and one that is in the middle of a stream sees it break off.
Task<> pass_through(sandbox::Host& host, sandbox::Registry& registry, http::Request& request,
                    http::Reply& reply) {
  const std::string id = request.params.find("id")->second;
  const auto driver = registry.get(id);
  const std::unique_ptr<sandbox::Passage> passage = co_await driver->enter();
  int first = 0;
  std::exception_ptr failure;
  try {
    auto forwarding = forward(request, reply, *passage);
    auto cut = passage->gate().wait_cut();
    first = co_await async::first_of(std::move(forwarding), std::move(cut));
  } catch (const http::UpstreamError& error) {
    failure = std::make_exception_ptr(http::blame_peer("the envd of sandbox " + id, error));
  } catch (...) {
    failure = std::current_exception();
  }
  const bool was_cut = first == 1 || passage->gate().was_cut();
  host.figures.passed_through(was_cut ? "cut" : failure ? "error" : "success");
  if (was_cut) throw Error(ErrorCode::unavailable, passage->gate().why());
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

std::string guest_target(std::string_view target) {
  static constexpr std::string_view kMark = "/envd";
  const auto at = target.find(kMark, target.find('/', std::string_view("/sandboxes/").size()));
  if (at == std::string_view::npos) return "/";
  target.remove_prefix(at + kMark.size());
  return target.starts_with('/') ? std::string(target) : "/" + std::string(target);
}

void add_pass_through_routes(http::Router& router, sandbox::Host& host, sandbox::Registry& registry) {
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
    router.add(method, "/sandboxes/{id}/envd/{path...}",
               [&host, &registry](http::Request& request, http::Reply& reply) {
                 return pass_through(host, registry, request, reply);
               });
}

}  // namespace wrenn::agent
