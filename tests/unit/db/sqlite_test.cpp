#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <limits>
#include <thread>

#include "core/async/loop.h"
#include "core/base/error.h"
#include "unit/db/items_table.h"
#include "unit/db/temp_database.h"

using namespace wrenn;
using db::Connection;
using db::Param;
using db::Row;

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
