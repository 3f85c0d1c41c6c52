// What an observer is told of reads and writes; tests/postgres.sh runs this on PostgreSQL, too.
#include <algorithm>
#include <future>

#include "core/async/scope.h"
#include "core/db/limits.h"
#include "unit/coroutine_test.h"
#include "unit/db/items_table.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using async::Task;
using db::Connection;
using db::Measured;

namespace {

class Seen {
 public:
  explicit Seen(db::Database& database) : database_(database) {
    database_.observe([this](const Measured& one) { all.push_back(one); });
  }
  ~Seen() { database_.observe({}); }

  std::vector<Measured> all;

 private:
  db::Database& database_;
};

// How long the function had its thread for.
class Inside {
 public:
  void operator()(Connection& connection) {
    const auto begin = SteadyClock::now();
    connection.query("SELECT COUNT(*) FROM items", {}, [](const db::Row&) {});
    took = SteadyClock::now() - begin;
  }
  SteadyClock::duration took{};
};

// `begin` calls one of the four with a function. It is told once, and its time lies between what the function
// saw and what the caller saw.
template <typename F>
Task<> check_one(Seen& seen, Measured::Kind kind, F begin) {
  seen.all.clear();
  Inside inside;
  auto work = [&inside](Connection& connection) { inside(connection); };
  const auto called = SteadyClock::now();
  co_await begin(work);
  const auto outside = SteadyClock::now() - called;
  REQUIRE(seen.all.size() == 1);
  CHECK(seen.all[0].kind == kind);
  CHECK_FALSE(seen.all[0].failed);
  CHECK(inside.took.count() > 0);
  CHECK(seen.all[0].took >= inside.took);
  CHECK(seen.all[0].took <= outside);
}

Task<> use_each(db::Database& database) {
  Seen seen(database);
  using enum Measured::Kind;
  co_await check_one(seen, read, [&](auto work) { return database.read(work); });
  co_await check_one(seen, read, [&](auto work) { return database.read_one(work); });
  co_await check_one(seen, write, [&](auto work) { return database.write(work); });
  co_await check_one(seen, write, [&](auto work) { return database.lead(work); });
}

}  // namespace

TEST_CASE("each read and write is measured once, as long as it was", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  test::run(use_each(*database));
}

static Task<> write_when(db::Database& database, std::shared_future<void> go, int& called) {
  ++called;
  auto work = [&go](Connection&) { go.wait(); };
  co_await database.write(work);
}

// One more than there are threads. None ends before `go`, and all were called before `waiting`.
static Task<> write_more_than_there_are_threads(db::Database& database) {
  constexpr int kWriters = db::limits::kPostgresWriteThreads + 1;
  const Seen seen(database);
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future();
  int called = 0;
  async::Scope scope(co_await asio::this_coro::executor, "writers");
  for (int i = 0; i < kWriters; ++i) scope.spawn(write_when(database, gone, called));
  while (called < kWriters) co_await async::sleep(std::chrono::milliseconds(1));
  const auto waiting = SteadyClock::now();
  co_await async::sleep(std::chrono::milliseconds(20));
  const auto waited = SteadyClock::now() - waiting;
  go.set_value();
  co_await scope.join();
  CHECK(seen.all.size() == kWriters);
  CHECK(std::all_of(seen.all.begin(), seen.all.end(), [&](const auto& one) { return one.took >= waited; }));
}

TEST_CASE("waiting for a thread is part of the time", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  test::run(write_more_than_there_are_threads(*database));
}

static Task<ErrorCode> code_of_write(db::Database& database, std::string sql) {
  try {
    auto work = [&sql](Connection& connection) { connection.execute(sql); };
    co_await database.write(work);
  } catch (const Error& error) {
    co_return error.code();
  }
  co_return ErrorCode::unknown;
}

static Task<> fail_in_many_ways(db::Database& database) {
  const Seen seen(database);
  const auto last_failed = [&seen] { return seen.all.back().failed; };

  CHECK(co_await code_of_write(database, "INSERT INTO items (id, label) VALUES ('a', 'a')") ==
        ErrorCode::unknown);
  CHECK_FALSE(last_failed());
  CHECK(co_await code_of_write(database, "INSERT INTO items (id, label) VALUES ('a', 'b')") ==
        ErrorCode::already_exists);
  CHECK_FALSE(last_failed());
  CHECK(co_await code_of_write(database, "INSERT INTO items (id, label, number) VALUES ('b', 'b', 1000)") ==
        ErrorCode::failed_precondition);
  CHECK_FALSE(last_failed());
  CHECK(co_await code_of_write(database, "INSERT INTO nothing (id) VALUES ('a')") == ErrorCode::internal);
  CHECK(last_failed());

  // A function that refuses by itself, with a code that a database has, too.
  ErrorCode refused = ErrorCode::unknown;
  try {
    auto refuse = [](Connection&) { throw_error(ErrorCode::unavailable, "not now"); };
    co_await database.read(refuse);
  } catch (const Error& error) {
    refused = error.code();
  }
  CHECK(refused == ErrorCode::unavailable);
  CHECK_FALSE(last_failed());
  CHECK(seen.all.size() == 5);
}

TEST_CASE("a failure is the database's own, not a broken constraint and not the function's", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  test::run(fail_in_many_ways(*database));
}

static Task<> use_unobserved(db::Database& database) {
  int told = 0;
  auto nothing = [](Connection&) {};
  co_await database.read(nothing);
  database.observe([&told](const Measured&) { ++told; });
  co_await database.read(nothing);
  CHECK(told == 1);
  database.observe({});
  co_await database.read(nothing);
  CHECK(told == 1);
}

TEST_CASE("an observer is told until it goes", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  test::run(use_unobserved(*database));
}
