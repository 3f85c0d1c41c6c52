#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <limits>
#include <thread>

#include "core/async/loop.h"
#include "core/base/error.h"
#include "unit/db/temp_database.h"

using namespace wrenn;
using db::Connection;
using db::Param;
using db::Row;

namespace {

ErrorCode code_thrown_by(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::unknown;
}

void make_table(db::Database& database) {
  database.write_now([](Connection& c) {
    c.run_script(
        "CREATE TABLE parents (id TEXT PRIMARY KEY);"
        "CREATE TABLE items (id TEXT PRIMARY KEY, number BIGINT CHECK (number < 1000), real DOUBLE "
        "PRECISION, "
        "parent TEXT REFERENCES parents (id), label TEXT UNIQUE NOT NULL);");
  });
}

std::int64_t count(db::Database& database) {
  std::int64_t rows = 0;
  database.read_now([&](Connection& c) {
    c.query("SELECT COUNT(*) FROM items", {}, [&](const Row& row) { rows = row.integer(0); });
  });
  return rows;
}

}  // namespace

TEST_CASE("values survive the way into the database and back") {
  for (const std::string& url : {std::string("sqlite://:memory:"), std::string()}) {
    TempDatabase temp;
    const auto database = url.empty() ? temp.open() : db::open_database(url);
    database->write_now([](Connection& c) {
      c.run_script("CREATE TABLE v (t TEXT, i BIGINT, d DOUBLE PRECISION, n TEXT)");
      const std::string binary("a\0b\xff ü", 7);
      const auto largest = std::numeric_limits<std::int64_t>::max();
      CHECK(c.execute("INSERT INTO v VALUES ($1, $2, $3, $4)", {binary, largest, 1.5, nullptr}) == 1);
      int rows = 0;
      c.query("SELECT t, i, d, n FROM v", {}, [&](const Row& row) {
        ++rows;
        CHECK(row.text(0) == binary);
        CHECK(row.integer(1) == largest);
        CHECK(row.number(2) == 1.5);
        CHECK_FALSE(row.is_null(0));
        CHECK(row.is_null(3));
        CHECK(row.text(3).empty());
        CHECK(row.integer(3) == 0);
      });
      CHECK(rows == 1);
    });
  }
}

TEST_CASE("placeholders count by their number, wherever they stand") {
  const auto database = db::open_database("sqlite://:memory:");
  database->write_now([](Connection& c) {
    std::string text;
    c.query("SELECT $3 || $1 || $2 || $1", {"a", "b", "c"}, [&](const Row& row) { text = row.text(0); });
    CHECK(text == "caba");
    CHECK(code_thrown_by([&] { c.execute("SELECT $1", {}); }) == ErrorCode::internal);
    CHECK(code_thrown_by([&] { c.execute("SELECT 1", {"too many"}); }) == ErrorCode::internal);
    CHECK(code_thrown_by([&] { c.execute("SELECT ?", {"unnumbered"}); }) == ErrorCode::internal);
    CHECK(code_thrown_by([&] { c.execute("SELECT 1; SELECT 2"); }) == ErrorCode::internal);
    CHECK(code_thrown_by([&] { c.execute("SELEC"); }) == ErrorCode::internal);
    CHECK(code_thrown_by([&] { c.execute(""); }) == ErrorCode::internal);
  });
}

TEST_CASE("broken constraints have their own codes") {
  const auto database = db::open_database("sqlite://:memory:");
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

TEST_CASE("a full disk is told as such, without the statement, and passes") {
  TempDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  database->write_now([](Connection& c) { c.query("PRAGMA max_page_count = 20", {}, [](const Row&) {}); });
  const std::string large(1'000'000, 'x');
  std::string message;
  CHECK(code_thrown_by([&] {
          database->write_now([&](Connection& c) {
            try {
              c.execute("INSERT INTO items (id, label) VALUES ('big', $1)", {large});
            } catch (const Error& error) {
              message = error.what();
              throw;
            }
          });
        }) == ErrorCode::resource_exhausted);
  CHECK(message.find("free some space") != std::string::npos);
  CHECK(message.find("INSERT") == std::string::npos);
  database->write_now([](Connection& c) { c.execute("INSERT INTO items (id, label) VALUES ('a', 'a')"); });
  CHECK(count(*database) == 1);
}

TEST_CASE("a write that throws leaves nothing behind, and the next one works") {
  TempDatabase temp;
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

TEST_CASE("a read sees one state, whatever is written meanwhile") {
  TempDatabase temp;
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

TEST_CASE("the same text may run inside its own result") {
  const auto database = db::open_database("sqlite://:memory:");
  database->write_now([](Connection& c) {
    c.run_script("CREATE TABLE n (i BIGINT); INSERT INTO n VALUES (1), (2), (3);");
    int pairs = 0;
    c.query("SELECT i FROM n", {},
            [&](const Row&) { c.query("SELECT i FROM n", {}, [&](const Row&) { ++pairs; }); });
    CHECK(pairs == 9);
  });
}

TEST_CASE("an exception out of a row leaves the statement usable") {
  const auto database = db::open_database("sqlite://:memory:");
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

TEST_CASE("changes are counted, also of RETURNING and ON CONFLICT") {
  const auto database = db::open_database("sqlite://:memory:");
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

TEST_CASE("threads write one after the other and lose nothing") {
  TempDatabase temp;
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

TEST_CASE("coroutines read and write through the pools, errors included") {
  TempDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  std::int64_t seen = 0;
  ErrorCode code = ErrorCode::unknown;
  async::run_loop("test", [&] { return use_from_loop(*database, seen, code); });
  CHECK(seen == 1);
  CHECK(code == ErrorCode::already_exists);
}

TEST_CASE("the file is private, and what is no database is refused") {
  TempDatabase temp;
  {
    const auto database = temp.open();
    make_table(*database);
  }
  for (const auto* suffix : {"", "-wal"}) {
    struct stat facts{};
    if (::stat((temp.file().string() + suffix).c_str(), &facts) == 0) CHECK((facts.st_mode & 0777) == 0600);
  }
  CHECK(code_thrown_by([] { db::open_database("mysql://u:secret@h/db"); }) == ErrorCode::invalid_argument);
  CHECK(code_thrown_by([] { db::open_database("sqlite://relative.db"); }) == ErrorCode::invalid_argument);
  CHECK(code_thrown_by([&] { db::open_database("sqlite://" + temp.dir.string() + "/no/such/x.db"); }) ==
        ErrorCode::not_found);
  const auto text_file = temp.dir / "text";
  {
    std::FILE* f = std::fopen(text_file.c_str(), "w");
    std::fputs(std::string(8192, 'x').c_str(), f);
    std::fclose(f);
  }
  CHECK(code_thrown_by([&] { db::open_database("sqlite://" + text_file.string()); }) == ErrorCode::data_loss);
  try {
    db::open_database("mysql://u:secret@h/db");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
  }
}

TEST_CASE("a commit is on the disk when it is answered") {
  TempDatabase temp;
  const auto database = temp.open();
  std::int64_t synchronous = 0;
  database->read_now([&](Connection& c) {
    c.query("PRAGMA synchronous", {}, [&](const Row& row) { synchronous = row.integer(0); });
  });
  CHECK(synchronous == 2);  // FULL; what a power cut leaves is tests/lab's
}
