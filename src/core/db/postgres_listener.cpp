#include "core/db/postgres_listener.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "core/async/descriptor.h"
#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/db/limits.h"
#include "core/db/postgres_handle.h"
#include "core/log/log.h"

namespace wrenn::db {

namespace {

Result checked(PGconn* handle, Result result) {
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    throw_error(ErrorCode::unavailable, "database: {}", trimmed_message(PQerrorMessage(handle)));
  return result;
}

Handle open_listening(const std::string& url) {
  Handle handle = open_handle(url);
  const auto ask = fmt::format("SELECT quote_ident({})", kServerChannel);
  const auto name = checked(handle.get(), Result(PQexec(handle.get(), ask.c_str())));
  const auto listen = fmt::format("LISTEN {}", PQgetvalue(name.get(), 0, 0));
  checked(handle.get(), Result(PQexec(handle.get(), listen.c_str())));
  return handle;
}

struct FreeNotification {
  void operator()(PGnotify* notification) const noexcept { PQfreemem(notification); }
};

void pass_on(PGconn* handle, Notifications& told) {
  while (const auto notification = std::unique_ptr<PGnotify, FreeNotification>(PQnotifies(handle))) {
    const std::string_view text(notification->extra);
    const auto space = text.find(' ');
    if (space == text.npos) continue;  // somebody else's
    told.tell(text.substr(0, space), text.substr(space + 1));
  }
}

}  // namespace

PostgresListener::PostgresListener(std::string url, std::shared_ptr<Notifications> told,
                                   async::ThreadPool& threads)
    : url_(std::move(url)),
      told_(std::move(told)),
      threads_(threads),
      thread_("db", [this] { return run(); }, [] {}) {}

PostgresListener::~PostgresListener() {
  stop_.set();
}

async::Task<> PostgresListener::run() {
  auto listening = keep_listening();
  auto stop = stop_.wait();
  co_await async::first_of(std::move(listening), std::move(stop));
}

async::Task<> PostgresListener::keep_listening() {
  auto pause = limits::kListenRetry;
  bool logged = false;
  for (;;) {
    std::exception_ptr failure;
    try {
      co_await listen_once();
    } catch (...) {
      failure = std::current_exception();
    }
    if (async::is_cancellation(failure)) co_return;
    const bool worked = listening_.exchange(false);
    if (worked || !std::exchange(logged, true))
      log::info("not listening for notifications of the database; connecting anew",
                {{"error", wrenn::describe(failure)}});
    pause = worked ? limits::kListenRetry : std::min(pause * 2, limits::kListenRetryMost);
    co_await async::sleep(pause);
  }
}

async::Task<> PostgresListener::listen_once() {
  auto open = [this] { return open_listening(url_); };
  const Handle handle = co_await async::offload(threads_, std::move(open));
  const int own = fcntl(PQsocket(handle.get()), F_DUPFD_CLOEXEC, 0);
  if (own < 0) throw_errno("duplicate the socket of the database");
  async::Descriptor socket(co_await asio::this_coro::executor, own);
  listening_ = true;
  // Of the time before nothing is known.
  told_->tell_of_loss();
  log::debug("listening for notifications of the database");
  for (;;) {
    pass_on(handle.get(), *told_);
    co_await socket.wait_readable();
    if (PQconsumeInput(handle.get()) == 0)
      throw_error(ErrorCode::unavailable, "database: {}", trimmed_message(PQerrorMessage(handle.get())));
  }
}

}  // namespace wrenn::db
