// A request with an Idempotency-Key that is broken off; all that clients see of it is in
// tests/component/cp/test_idempotency.py.
#include "cp/idempotency.h"

#include <catch2/catch.hpp>

#include "core/async/scope.h"
#include "core/http/websocket.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "cp/whole_body.h"
#include "unit/coroutine_test.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using namespace wrenn::cp;
using async::Task;
using db::Connection;

namespace {

// Keeps what it is to send.
class KeptReply final : public http::Reply {
 public:
  Task<> send(http::Response response) override {
    sent = std::move(response);
    co_return;
  }
  Task<std::unique_ptr<http::BodyWriter>> stream(int, http::Headers, std::optional<std::uint64_t>) override {
    throw_error(ErrorCode::unimplemented, "not here");
  }
  Task<http::WebSocket> accept_websocket(const http::WebSocketOptions&) override {
    throw_error(ErrorCode::unimplemented, "not here");
  }
  net::Stream hijack(std::string&) override { throw_error(ErrorCode::unimplemented, "not here"); }
  Task<> client_gone() override { co_return; }
  bool started() const noexcept override { return sent.has_value(); }

  std::optional<http::Response> sent;
};

// Who asks once with the key of the test.
struct Asking {
  explicit Asking(service::Caller by) : caller(std::move(by)) {
    request.method = "POST";
    request.path = "/v1/capsules";
    request.headers.set("Idempotency-Key", "k");
    request.body = &body;
  }
  service::Caller caller;
  WholeBody body{"{}"};
  http::Request request;
  KeptReply reply;
};

service::Caller caller_of(const http::Request& request) {
  return std::any_cast<service::Caller>(request.context);
}

service::Caller make_caller(db::Database& database) {
  store::migrate(database);
  service::Caller caller;
  caller.team = model::TeamId::random();
  caller.actor = {model::Actor::Kind::api_key, "key-x", "k"};
  database.write_now([&](Connection& c) {
    store::insert_team(c, {caller.team, "Team", "aaaaaa-bbbbbb", UnixTime{2}, false, {}});
  });
  return caller;
}

Task<> play() {
  const auto executor = co_await asio::this_coro::executor;
  TestDatabase place;
  const auto database = place.open();
  const auto caller = make_caller(*database);
  EncryptionKey key(crypto::Aead(Secret(std::string(crypto::Aead::kKeyBytes, 'k'))));
  Idempotency idempotency(*database, key);
  const auto made = model::SandboxId::random();

  // It makes a capsule, and waits for its start when the process is to end.
  async::Event never(executor), waiting(executor);
  const http::Handler first = [&](http::Request& request, http::Reply&) -> Task<> {
    const auto by = caller_of(request);
    auto insert = [&](Connection& c) {
      store::set_idempotency_sandbox(c, {by.team, by.actor.id, by.request_key}, made);
    };
    co_await database->write(insert);
    waiting.notify_all();
    co_await never.wait();
  };
  Asking once(caller);
  async::Scope scope(executor, "requests");
  scope.spawn(idempotency.run(once.request, once.reply, caller, first));
  co_await waiting.wait();
  scope.cancel();
  co_await scope.join();
  CHECK_FALSE(once.reply.sent);

  // The same again, from the next process.
  std::optional<model::SandboxId> known;
  const http::Handler second = [&](http::Request& request, http::Reply& reply) -> Task<> {
    known = caller_of(request).made_before;
    auto response = http::json_response(201, "{}");
    co_await reply.send(std::move(response));
  };
  Asking again(caller);
  co_await idempotency.run(again.request, again.reply, caller, second);
  CHECK(known == made);
  REQUIRE(again.reply.sent);
  CHECK(again.reply.sent->status == 201);
}

// The database fails between the making and the keeping of the answer.
Task<> play_failing_database() {
  TestDatabase place;
  const auto database = place.open();
  const auto caller = make_caller(*database);
  EncryptionKey key(crypto::Aead(Secret(std::string(crypto::Aead::kKeyBytes, 'k'))));
  Idempotency idempotency(*database, key);
  const http::Handler make = [&](http::Request&, http::Reply& reply) -> Task<> {
    auto drop = [](Connection& c) { c.execute("ALTER TABLE idempotency_keys RENAME TO away", {}); };
    co_await database->write(drop);
    auto response = http::json_response(201, R"({"id":"made"})");
    co_await reply.send(std::move(response));
  };
  Asking asking(caller);
  co_await idempotency.run(asking.request, asking.reply, caller, make);
  REQUIRE(asking.reply.sent);
  CHECK(asking.reply.sent->status == 201);

  // What a handler threw is told as it is, too.
  database->write_now([](Connection& c) { c.execute("ALTER TABLE away RENAME TO idempotency_keys", {}); });
  const http::Handler refuse = [&](http::Request&, http::Reply&) -> Task<> {
    auto drop = [](Connection& c) { c.execute("ALTER TABLE idempotency_keys RENAME TO away", {}); };
    co_await database->write(drop);
    throw_error(ErrorCode::failed_precondition, "not now");
  };
  Asking other(caller);
  other.request.headers.set("Idempotency-Key", "other");
  ErrorCode told = ErrorCode::internal;
  try {
    co_await idempotency.run(other.request, other.reply, caller, refuse);
  } catch (const Error& error) {
    told = error.code();
  }
  CHECK(told == ErrorCode::failed_precondition);
}

}  // namespace

TEST_CASE("what was made is told, though its answer for repetitions is not kept", "[engine]") {
  test::run(play_failing_database());
}

TEST_CASE("a request that is broken off when the process ends is known when it comes again", "[engine]") {
  test::run(play());
}
