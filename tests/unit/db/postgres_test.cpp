// What is PostgreSQL's own: broken connections, texts that it does not take, several processes that start.
// But for what needs no server, below tests/postgres.sh only.
#include <catch2/catch.hpp>
#include <thread>

#include "core/base/error.h"
#include "core/db/limits.h"
#include "core/db/migrate.h"
#include "core/db/postgres_handle.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using db::Connection;
using db::Row;

namespace {

std::optional<Error> error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

std::string own_backend(Connection& connection) {
  std::string pid;
  connection.query("SELECT pg_backend_pid()", {}, [&](const Row& row) { pid = row.text(0); });
  return pid;
}

void end_backend(db::Database& other, const std::string& pid) {
  bool ended = false;
  other.read_now([&](Connection& c) {
    c.query("SELECT pg_terminate_backend(CAST($1 AS INTEGER), 5000)", {pid},
            [&](const Row& row) { ended = row.integer(0) == 1; });
  });
  REQUIRE(ended);
}

}  // namespace

TEST_CASE("a connection that breaks in a transaction fails it, and the next request has another",
          "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open(), other = temp.open();
  database->write_now([](Connection& c) { c.run_script("CREATE TABLE n (i BIGINT)"); });
  const auto error = error_of([&] {
    database->write_now([&](Connection& c) {
      c.execute("INSERT INTO n VALUES (1)");
      end_backend(*other, own_backend(c));
      c.execute("INSERT INTO n VALUES (2)");
    });
  });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::unavailable);
  std::int64_t rows = -1;
  database->read_now([&](Connection& c) {
    c.query("SELECT COUNT(*) FROM n", {}, [&](const Row& row) { rows = row.integer(0); });
  });
  CHECK(rows == 0);
}

TEST_CASE("a connection that broke while it was idle is not noticed", "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open(), other = temp.open();
  std::string before, after;
  database->read_now([&](Connection& c) { before = own_backend(c); });
  end_backend(*other, before);
  database->read_now([&](Connection& c) { after = own_backend(c); });
  CHECK(before != after);
}

TEST_CASE("reads and writes follow each other on one connection", "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open();
  database->write_now([](Connection& c) { c.run_script("CREATE TABLE n (i BIGINT)"); });
  std::string backend;
  database->read_now([&](Connection& c) { backend = own_backend(c); });
  for (std::int64_t i = 0; i < 20; ++i) {
    database->write_now([&](Connection& c) {
      CHECK(own_backend(c) == backend);
      c.execute("INSERT INTO n VALUES ($1)", {i});
    });
    std::int64_t rows = 0, same = 0;
    database->read_now([](Connection&) {});  // asks nothing
    CHECK(error_of([&] {
      database->read_now([](Connection& c) { c.execute("SELECT CAST($1 AS BIGINT)", {"no number"}); });
    }));
    database->read_now([&](Connection& c) {
      CHECK(own_backend(c) == backend);
      c.query("SELECT COUNT(*) FROM n", {}, [&](const Row& row) { rows = row.integer(0); });
      c.query("SELECT COUNT(*) FROM n", {}, [&](const Row& row) { same = row.integer(0); });
    });
    CHECK(rows == i + 1);
    CHECK(same == rows);
  }
}

TEST_CASE("a read writes nothing", "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open();
  database->write_now([](Connection& c) { c.run_script("CREATE TABLE n (i BIGINT)"); });
  CHECK(error_of([&] { database->read_now([](Connection& c) { c.execute("INSERT INTO n VALUES (1)"); }); }));
}

TEST_CASE("a read whose connection breaks after its first statement fails", "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open(), other = temp.open();
  const auto error = error_of([&] {
    database->read_now([&](Connection& c) {
      end_backend(*other, own_backend(c));
      own_backend(c);
    });
  });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::unavailable);
}

TEST_CASE("a broken connection is a failure of the database", "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open(), other = temp.open();
  const auto break_it = [&](Connection& c) {
    end_backend(*other, own_backend(c));
    own_backend(c);
  };
  CHECK_THROWS_AS(database->read_now(break_it), db::Failure);
  CHECK_THROWS_AS(database->write_now(break_it), db::Failure);
  CHECK_THROWS_AS(database->lead_now(break_it), db::Failure);
}

TEST_CASE("a server that is not there is told without the password", "[.][postgres]") {
  const auto error = error_of([] { db::open_database("postgres://u:secret@127.0.0.1:1/d"); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::unavailable);
  CHECK(std::string(error->what()).find("secret") == std::string::npos);
}

TEST_CASE("a server that says nothing more is noticed within kPeerSilence, by every clock of the kernel") {
  auto told = db::connection_parameters();
  const auto number = [&](const char* name) { return std::chrono::seconds(std::stoi(told.at(name))); };
  CHECK(number("keepalives_idle") + number("keepalives_interval") <= db::limits::kPeerSilence);
  CHECK(std::chrono::milliseconds(std::stoi(told.at("tcp_user_timeout"))) <= db::limits::kPeerSilence);
  // libpq knows every name: it would refuse the connection otherwise.
  std::string url = "postgres://u@h/d?";
  for (const auto& [name, value] : told) url += name + "=" + value + "&";
  url.pop_back();
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parts(
      PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
  CHECK(parts != nullptr);
}

TEST_CASE("texts that cannot be stored are the caller's fault", "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open();
  database->write_now([](Connection& c) { c.run_script("CREATE TABLE v (t TEXT)"); });
  for (const std::string& text : {std::string("a\0b", 3), std::string("\xff")}) {
    const auto error = error_of(
        [&] { database->write_now([&](Connection& c) { c.execute("INSERT INTO v VALUES ($1)", {text}); }); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::invalid_argument);
  }
}

TEST_CASE("whoever goes on after a failed statement commits nothing", "[.][postgres]") {
  const TestDatabase temp;
  const auto database = temp.open();
  database->write_now(
      [](Connection& c) { c.run_script("CREATE TABLE n (i BIGINT UNIQUE); INSERT INTO n VALUES (1)"); });
  const auto error = error_of([&] {
    database->write_now([](Connection& c) {
      CHECK(error_of([&] { c.execute("INSERT INTO n VALUES (1)"); })->code() == ErrorCode::already_exists);
    });
  });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::internal);
}

TEST_CASE("several that start at once migrate once", "[.][postgres]") {
  const TestDatabase temp;
  const std::vector<db::Migration> migrations{{1, "0001_a.sql", "CREATE TABLE a (x BIGINT);"},
                                              {2, "0002_b.sql", "ALTER TABLE a ADD COLUMN y TEXT;"}};
  std::atomic<int> done = 0;
  std::vector<std::thread> starters;
  for (int i = 0; i < 4; ++i)
    starters.emplace_back([&] {
      const auto database = temp.open();
      if (db::migrate(*database, migrations).to == 2) ++done;
    });
  for (auto& thread : starters) thread.join();
  CHECK(done == 4);
}
