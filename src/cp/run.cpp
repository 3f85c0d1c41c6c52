#include "cp/run.h"

#include "core/async/loop.h"
#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "core/base/version.h"
#include "core/http/server.h"
#include "core/log/log.h"
#include "cp/errors.h"
#include "cp/gateway/gateway.h"
#include "cp/limits.h"
#include "cp/middleware.h"
#include "cp/routes.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "cp/worker/host_watch.h"
#include "cp/worker/reconciler.h"

namespace wrenn::cp {

std::unique_ptr<db::Database> open_database(const Config& config) {
  auto database = db::open_database(config.effective_database_url());
  const auto migrated = store::migrate(*database);
  if (!migrated.backup.empty())
    log::info("the database was copied before its schema was changed", {{"backup", migrated.backup}});
  database->write_now([](db::Connection& connection) { store::ensure_platform_team(connection, now()); });
  return database;
}

namespace {

http::Headers agent_headers(const Config& config) {
  http::Headers headers;
  if (!config.agent_token.empty()) headers.set(api::agent::kTokenHeader, config.agent_token.reveal());
  return headers;
}

// Everything that serves requests, in the order in which it depends on each other.
class Core {
 public:
  Core(async::Executor executor, const Config& config, db::Database& database, std::uint16_t port)
      : background_(executor, "cp background"),
        operations_(executor, "cp operations"),
        shutdown_(executor),
        keys_(database, background_),
        authenticator_(keys_),
        hosts_(executor, database, config.effective_agent_address(), agent_headers(config)),
        templates_(database, hosts_),
        under_way_(operations_),
        capsules_(under_way_, database, hosts_, templates_),
        snapshots_(under_way_, database, hosts_, capsules_, templates_),
        reconciler_(executor, database, hosts_, templates_, capsules_, metrics_, config),
        host_watch_(hosts_.local(), [this] { reconciler_.host_changed(); }),
        services_{config,         database,   metrics_,
                  authenticator_, templates_, capsules_,
                  snapshots_,     shutdown_,  gateway::public_domain(config.gateway_domains, port)},
        routes_(services_),
        middleware_(routes_.router(), metrics_),
        gateway_(config.gateway_domains, database, hosts_, shutdown_, metrics_),
        server_(executor, handler(), options()) {
    capsules_.on_unsettled = [this] { reconciler_.wake(); };
  }

  // Before the first request: what happened to capsules while no control plane ran must not be answered
  // wrongly. A host that does not answer is no reason not to start.
  Task<> agree_with_host() {
    auto round = reconciler_.round();
    std::exception_ptr failure;
    try {
      co_await async::with_timeout(limits::kFirstRoundTimeout, "the first comparison with the host",
                                   std::move(round));
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    if (async::is_cancellation(failure)) std::rethrow_exception(failure);
    log::warn("starting without the host's word on its capsules; it is asked again soon",
              {{"error", wrenn::describe(failure)}});
  }

  Task<> serve(net::Listener& listener, Task<> stop) {
    background_.spawn(reconciler_.run());
    background_.spawn(host_watch_.run());
    auto serving = server_.serve(listener);
    std::exception_ptr failure;
    try {
      co_await async::first_of(std::move(serving), std::move(stop));
    } catch (...) {
      failure = std::current_exception();
    }
    co_await async::ignore_cancellation();
    co_await shut_down();
    co_await async::heed_cancellation();
    if (failure && !async::is_cancellation(failure)) std::rethrow_exception(failure);
  }

 private:
  http::Handler handler() {
    return [this](http::Request& request, http::Reply& reply) {
      auto destination = gateway_.destination_of(request);
      return destination.kind == gateway::Destination::Kind::api
                 ? middleware_.handle(request, reply)
                 : gateway_.handle(request, reply, std::move(destination));
    };
  }
  static http::ServerOptions options() {
    http::ServerOptions options;
    options.render_error = render_error;
    return options;
  }

  Task<> shut_down() {
    shutdown_.begin();
    co_await server_.stop(limits::kShutdownGrace);
    // What is cut off here stays in a transient state in the database; the next start settles it with the
    // agent.
    auto ended = operations_.join();
    std::exception_ptr failure;
    try {
      co_await async::with_timeout(limits::kShutdownGrace, "operations", std::move(ended));
    } catch (...) {
      failure = std::current_exception();
    }
    operations_.cancel();
    co_await operations_.join();
    background_.cancel();
    co_await background_.join();
  }

  async::Scope background_, operations_;
  metrics::Registry metrics_;
  Shutdown shutdown_;
  service::ApiKeys keys_;
  Authenticator authenticator_;
  HostAgents hosts_;
  service::Templates templates_;
  service::Operations under_way_;
  service::CapsuleService capsules_;
  service::Snapshots snapshots_;
  worker::Reconciler reconciler_;
  worker::HostWatch host_watch_;
  Services services_;
  Routes routes_;
  Middleware middleware_;
  gateway::Gateway gateway_;
  http::Server server_;
};

}  // namespace

Task<> serve(const Config& config, db::Database& database, Task<> stop,
             std::function<void(const net::Address&)> on_listening) {
  log::set_role("cp");
  const auto executor = co_await asio::this_coro::executor;
  net::Listener listener(executor, net::Address::parse(config.listen));
  Core core(executor, config, database, listener.address().port());
  co_await core.agree_with_host();
  log::info("control plane listens", {{"address", listener.address().text()},
                                      {"version", kVersion},
                                      {"agent", config.effective_agent_address()}});
  if (on_listening) on_listening(listener.address());
  co_await core.serve(listener, std::move(stop));
  log::info("control plane has stopped");
}

static Task<> until_signal() {
  const int number = co_await async::wait_for_stop_signal();
  log::info("stopping", {{"signal", number}});
}

static Task<> serve_until_signal(const Config& config, db::Database& database) {
  co_await serve(config, database, until_signal(), {});
}

void run(const Config& config) {
  const auto database = open_database(config);
  async::run_loop("cp", [&] { return serve_until_signal(config, *database); });
}

}  // namespace wrenn::cp
