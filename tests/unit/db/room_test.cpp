// A database without room: when that is told, and when it is over.
#include "core/db/limits.h"
#include "core/db/room.h"
#include "unit/coroutine_test.h"
#include "unit/db/items_table.h"
#include "unit/db/temp_database.h"

using namespace wrenn;
using namespace std::chrono_literals;
using async::Task;
using db::Connection;
using db::Measured;

static Measured measured(Measured::Kind kind, bool failed, bool full) {
  return {kind, 1ms, failed, full};
}

TEST_CASE("room is lacking until none was refused for a while and a write has worked") {
  using enum Measured::Kind;
  const SteadyTime start{1h};
  db::Room room;
  CHECK_FALSE(room.lacking());
  room.note(measured(write, true, false), start);  // failed for something else
  room.note(measured(read, true, true), start);
  CHECK_FALSE(room.lacking());
  room.note(measured(write, true, true), start);
  CHECK(room.lacking());
  // What still finds a place does not mean that others do.
  room.note(measured(write, false, false), start + 1s);
  CHECK(room.lacking());
  room.note(measured(write, true, true), start + 2s);
  const auto again = start + 2s + db::limits::kRoomAgain;
  room.note(measured(write, false, false), again - 1ms);
  room.note(measured(read, false, false), again);
  room.note(measured(write, true, false), again);
  CHECK(room.lacking());
  room.note(measured(write, false, false), again);
  CHECK_FALSE(room.lacking());
}

static Task<> fill(db::Database& database) {
  std::vector<Measured> seen;
  database.observe([&seen](const Measured& one) { seen.push_back(one); });
  bool refused = false;
  try {
    auto write = [](Connection& connection) {
      connection.execute("INSERT INTO items (id, label) VALUES ('big', $1)", {std::string(1'000'000, 'x')});
    };
    co_await database.write(write);
  } catch (const db::Failure&) {
    refused = true;
  }
  CHECK(refused);
  auto small = [](Connection& connection) {
    connection.execute("INSERT INTO items (id, label) VALUES ('a', 'a')");
  };
  co_await database.write(small);
  database.observe({});
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].failed);
  CHECK(seen[0].full);
  CHECK_FALSE(seen[1].full);
}

TEST_CASE("an observer is told that there was no room") {
  TempDatabase temp;
  const auto database = temp.open();
  make_table(*database);
  database->write_now([](Connection& c) { c.query("PRAGMA max_page_count = 20", {}, [](const db::Row&) {}); });
  test::run(fill(*database));
}
