#include "cp/run.h"

#include "core/async/loop.h"
#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "core/base/version.h"
#include "core/http/server.h"
#include "core/log/log.h"
#include "cp/errors.h"
#include "cp/figures.h"
#include "cp/gateway/gateway.h"
#include "cp/limits.h"
#include "cp/middleware.h"
#include "cp/routes.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "cp/worker/attendance.h"
#include "cp/worker/host_watch.h"
#include "cp/worker/housekeeping.h"
#include "cp/worker/reconciler.h"
#include "cp/worker/team_sampler.h"
#include "cp/worker/usage_rollup.h"

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

// Everything that serves requests, in the order in which it depends on each other.
class Core {
 public:
  Core(async::Executor executor, const Config& config, db::Database& database, std::uint16_t port)
      : services_(executor, config, database, port),
        database_figures_(database, services_.room, services_.metrics),
        reconciler_(executor, database, services_.hosts, services_.templates, services_.capsules,
                    services_.metrics, config),
        attendance_(database, services_.under_way),
        host_watch_(services_.hosts.local(), [this] { reconciler_.host_changed(); }),
        housekeeping_(executor, services_),
        team_sampler_(executor, database),
        usage_rollup_(executor, database, config),
        routes_(services_),
        middleware_(routes_.router(), services_.metrics),
        gateway_(config.gateway_domains, database, services_.hosts, services_.shutdown, services_.metrics),
        server_(executor, handler(), options()) {
    services_.capsules.on_unsettled = [this] { reconciler_.wake(); };
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
    services_.background.spawn(reconciler_.run());
    services_.background.spawn(attendance_.run());
    services_.background.spawn(host_watch_.run());
    services_.background.spawn(housekeeping_.run());
    services_.background.spawn(team_sampler_.run());
    services_.background.spawn(usage_rollup_.run());
    services_.notifier.start(services_.background);
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
    services_.shutdown.begin();
    co_await server_.stop(limits::kShutdownGrace);
    // What is cut off here stays in a transient state in the database; the next start settles it with the
    // agent.
    auto ended = services_.operations.join();
    std::exception_ptr failure;
    try {
      co_await async::with_timeout(limits::kShutdownGrace, "operations", std::move(ended));
    } catch (...) {
      failure = std::current_exception();
    }
    services_.operations.cancel();
    co_await services_.operations.join();
    services_.notifier.stop();
    services_.background.cancel();
    co_await services_.background.join();
  }

  Services services_;
  DatabaseFigures database_figures_;
  worker::Reconciler reconciler_;
  worker::Attendance attendance_;
  worker::HostWatch host_watch_;
  worker::Housekeeping housekeeping_;
  worker::TeamSampler team_sampler_;
  worker::UsageRollup usage_rollup_;
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
