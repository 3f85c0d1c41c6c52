#include "envd/routes.h"

#include "core/base/error.h"
#include "core/log/log.h"
#include "envd/answers.h"
#include "envd/files/compose.h"
#include "envd/files/download.h"
#include "envd/files/upload.h"

namespace wrenn::envd {

using async::Task;

namespace {

http::Response json_no_store(std::string json) {
  http::Response response = http::json_response(200, std::move(json));
  response.headers.set("Cache-Control", "no-store");
  return response;
}

}  // namespace

Routes::Routes(bool in_guest, async::Executor executor, async::ThreadPool& threads, process::Table& processes,
               SnapshotHooks& snapshots)
    : cache_(in_guest ? files::PageCache::avoid : files::PageCache::use),
      threads_(threads),
      snapshots_(snapshots),
      init_(in_guest, executor, threads, token_, defaults_,
            {.before_writes = [&snapshots] { snapshots.thaw_files(); },
             .done =
                 [&snapshots] {
                   snapshots.recover();
                   snapshots.thaw();
                 }}),
      processes_(executor, processes, defaults_),
      filesystem_(threads, defaults_),
      watches_(executor, threads, defaults_) {
  defaults_.user = own_user().name;
  defaults_.env["WRENN_SANDBOX"] = in_guest ? "true" : "false";
  defaults_.env["E2B_SANDBOX"] = defaults_.env["WRENN_SANDBOX"];

  const auto add = [this](std::string_view method, std::string_view path, auto handler) {
    router_.add(method, path, [this, handler](http::Request& request, http::Reply& reply) {
      return (this->*handler)(request, reply);
    });
  };
  add("GET", "/health", &Routes::health);
  add("GET", "/metrics", &Routes::metrics);
  add("GET", "/envs", &Routes::envs);
  add("GET", "/files", &Routes::read_file);
  add("POST", "/files", &Routes::write_file);
  add("POST", "/files/compose", &Routes::compose_files);
  router_.add("POST", "/init",
              [this](http::Request& request, http::Reply& reply) { return init_.handle(request, reply); });
  snapshots_.add_routes(router_);
  processes_.add_routes(router_);
  filesystem_.add_routes(router_);
  watches_.add_routes(router_);
}

Task<> Routes::handle(http::Request& request, http::Reply& reply) {
  if (!is_open(request) && !token_.admits(request)) {
    auto response = plain_error(401, kUnauthorizedText);
    co_await reply.send(std::move(response));
    co_return;
  }
  const auto match = router_.match(request);
  if (match.found == http::Router::Found::yes) {
    co_await (*match.handler)(request, reply);
    co_return;
  }
  const bool no_path = match.found == http::Router::Found::no_path;
  auto response =
      no_path ? plain_error(404, "no such path") : plain_error(405, "method not allowed, but " + match.allow);
  if (!no_path) response.headers.set("Allow", match.allow);
  co_await reply.send(std::move(response));
}

http::Response Routes::render_error(int status, std::exception_ptr failure, const http::Request* request) {
  // Without a request the server refused one that it could not read: the status is its own.
  if (request == nullptr) return plain_error(status, describe(failure));
  if (plain_status(failure) == 500)
    log::warn("request failed",
              {{"method", request->method}, {"path", request->path}, {"error", describe(failure)}});
  return plain_error(failure);
}

// 200 with the version, where E2B's envd says 204: its SDKs accept any status but 502, and our host reads the
// version.
Task<> Routes::health(http::Request&, http::Reply& reply) {
  snapshots_.recover();
  auto response = json_no_store(fmt::format("{{\"version\":\"{}\"}}", api::envd::kVersion));
  co_await reply.send(std::move(response));
}

Task<> Routes::metrics(http::Request&, http::Reply& reply) {
  const auto metrics = co_await metrics_.read();
  auto response = json_no_store(json::to_json(metrics));
  co_await reply.send(std::move(response));
}

Task<> Routes::envs(http::Request&, http::Reply& reply) {
  auto response = json_no_store(json::to_json(defaults_.env));
  co_await reply.send(std::move(response));
}

Task<> Routes::read_file(http::Request& request, http::Reply& reply) {
  return files::download(request, reply, threads_, token_, defaults_, cache_);
}

Task<> Routes::write_file(http::Request& request, http::Reply& reply) {
  return files::upload(request, reply, threads_, token_, defaults_, cache_);
}

Task<> Routes::compose_files(http::Request& request, http::Reply& reply) {
  return files::compose(request, reply, threads_, defaults_, cache_);
}

}  // namespace wrenn::envd
