// What every engine does alike; tests/postgres.sh runs these on PostgreSQL.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "core/async/loop.h"
#include "core/base/error.h"
#include "unit/db/items_table.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using db::Connection;
using db::Param;
using db::Row;

TEST_CASE("broken constraints have their own codes", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  const auto insert = [&](Param id, Param number, Param parent, Param label) {
    database->write_now([&](Connection& c) {
      c.execute("INSERT INTO items (id, number, parent, label) VALUES ($1, $2, $3, $4)",
                {id, number, parent, label});
    });
  };
  insert("a", 1, nullptr, "first");
  CHECK(code_thrown_by([&] { insert("a", 1, nullptr, "other"); }) == ErrorCode::already_exists);
  CHECK(code_thrown_by([&] { insert("b", 1, nullptr, "first"); }) == ErrorCode::already_exists);
  CHECK(code_thrown_by([&] { insert("b", 1000, nullptr, "other"); }) == ErrorCode::failed_precondition);
  CHECK(code_thrown_by([&] { insert("b", 1, "nobody", "other"); }) == ErrorCode::failed_precondition);
  CHECK(code_thrown_by([&] { insert("b", 1, nullptr, nullptr); }) == ErrorCode::failed_precondition);
  CHECK(count(*database) == 1);
}

TEST_CASE("a write that throws leaves nothing behind, and the next one works", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  CHECK_THROWS_AS(database->write_now([](Connection& c) {
    c.execute("INSERT INTO items (id, label) VALUES ('a', 'a')");
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(count(*database) == 0);
  database->write_now([](Connection& c) { c.execute("INSERT INTO items (id, label) VALUES ('a', 'a')"); });
  CHECK(count(*database) == 1);
}

TEST_CASE("a read sees one state, whatever is written meanwhile", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  database->read_now([&](Connection& c) {
    const auto seen = [&] {
      std::int64_t rows = -1;
      c.query("SELECT COUNT(*) FROM items", {}, [&](const Row& row) { rows = row.integer(0); });
      return rows;
    };
    CHECK(seen() == 0);
    database->write_now([](Connection& w) { w.execute("INSERT INTO items (id, label) VALUES ('a', 'a')"); });
    CHECK(seen() == 0);
  });
  CHECK(count(*database) == 1);
}

TEST_CASE("a read of one statement takes no second one, and the connection goes on", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  database->write_now([](Connection& c) { c.execute("INSERT INTO items (id, label) VALUES ('a', 'a')"); });
  const auto count_in = [](Connection& c) {
    std::int64_t rows = 0;
    c.query("SELECT COUNT(*) FROM items", {}, [&](const Row& row) { rows = row.integer(0); });
    return rows;
  };
  for (int i = 0; i < 3; ++i) {
    std::int64_t rows = 0;
    database->read_one_now([&](Connection& c) { rows = count_in(c); });
    CHECK(rows == 1);
    database->read_one_now([](Connection&) {});
    CHECK(code_thrown_by([&] {
            database->read_one_now([&](Connection& c) {
              count_in(c);
              count_in(c);
            });
          }) == ErrorCode::internal);
    CHECK(code_thrown_by([&] {
            database->read_one_now([](Connection& c) { c.execute("SELECT no_such_column FROM items"); });
          }) == ErrorCode::internal);
    CHECK(count(*database) == 1);
  }
}

TEST_CASE("the same text may run inside its own result", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  database->write_now([](Connection& c) {
    c.run_script("CREATE TABLE n (i BIGINT); INSERT INTO n VALUES (1), (2), (3);");
    int pairs = 0;
    c.query("SELECT i FROM n", {},
            [&](const Row&) { c.query("SELECT i FROM n", {}, [&](const Row&) { ++pairs; }); });
    CHECK(pairs == 9);
  });
}

TEST_CASE("an exception out of a row leaves the statement usable", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  database->write_now([](Connection& c) {
    c.run_script("CREATE TABLE n (i BIGINT); INSERT INTO n VALUES (1), (2);");
    for (int round = 0; round < 3; ++round)
      CHECK_THROWS_AS(c.query("SELECT i FROM n", {}, [](const Row&) { throw std::runtime_error("stop"); }),
                      std::runtime_error);
    int rows = 0;
    c.query("SELECT i FROM n", {}, [&](const Row&) { ++rows; });
    CHECK(rows == 2);
  });
}

TEST_CASE("changes are counted, also of RETURNING and ON CONFLICT", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  database->write_now([](Connection& c) {
    c.run_script("INSERT INTO items (id, number, label) VALUES ('a', 1, 'a'), ('b', 2, 'b'), ('c', 3, 'c')");
    CHECK(c.execute("UPDATE items SET number = 9 WHERE number >= $1", {2}) == 2);
    int returned = 0;
    CHECK(c.query("UPDATE items SET number = 8 WHERE number = $1 RETURNING id", {9},
                  [&](const Row&) { ++returned; }) == 2);
    CHECK(returned == 2);
    CHECK(c.execute("UPDATE items SET number = 7 WHERE id = $1", {"nobody"}) == 0);
    CHECK(c.execute("INSERT INTO items (id, label) VALUES ('a', 'x') ON CONFLICT DO NOTHING") == 0);
    CHECK(c.query("SELECT id FROM items", {}, [](const Row&) {}) == 0);
  });
}

TEST_CASE("threads write one after the other and lose nothing", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  constexpr int kThreads = 4, kRounds = 50;
  std::atomic<int> reads_failed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const auto id = fmt::format("{}-{}", t, i);
        database->write_now(
            [&](Connection& c) { c.execute("INSERT INTO items (id, label) VALUES ($1, $1)", {id}); });
        bool found = false;
        database->read_now([&](Connection& c) {
          c.query("SELECT 1 FROM items WHERE id = $1", {id}, [&](const Row&) { found = true; });
        });
        if (!found) ++reads_failed;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(count(*database) == kThreads * kRounds);
  CHECK(reads_failed == 0);
}

static async::Task<> use_from_loop(db::Database& database, std::int64_t& seen, ErrorCode& code) {
  auto insert = [](Connection& c) { return c.execute("INSERT INTO items (id, label) VALUES ('a', 'a')"); };
  const std::int64_t changed = co_await database.write(insert);
  CHECK(changed == 1);
  try {
    co_await database.write(insert);
  } catch (const Error& error) {
    code = error.code();
  }
  auto read = [](Connection& c) {
    std::int64_t rows = 0;
    c.query("SELECT COUNT(*) FROM items", {}, [&](const Row& row) { rows = row.integer(0); });
    return rows;
  };
  seen = co_await database.read(read);
}

TEST_CASE("coroutines read and write through the pools, errors included", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  std::int64_t seen = 0;
  ErrorCode code = ErrorCode::unknown;
  async::run_loop("test", [&] { return use_from_loop(*database, seen, code); });
  CHECK(seen == 1);
  CHECK(code == ErrorCode::already_exists);
}

// Each of them reads what the others wrote before it writes: nothing is lost, because none goes on from what
// has changed meanwhile.
TEST_CASE("writes that depend on what they read are as if one after the other", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  database->write_now(
      [](Connection& c) { c.run_script("CREATE TABLE n (i BIGINT); INSERT INTO n VALUES (0);"); });
  constexpr int kThreads = 3, kRounds = 20;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i)
        database->write_now([](Connection& c) {
          std::int64_t seen = 0;
          c.query("SELECT i FROM n", {}, [&](const Row& row) { seen = row.integer(0); });
          c.execute("UPDATE n SET i = $1", {seen + 1});
        });
    });
  for (auto& thread : threads) thread.join();
  std::int64_t last = 0;
  database->read_now(
      [&](Connection& c) { c.query("SELECT i FROM n", {}, [&](const Row& row) { last = row.integer(0); }); });
  CHECK(last == kThreads * kRounds);
}
