// Words between processes that share a database. Two Database objects stand for two processes: on SQLite only
// the one that tells hears.
#include "unit/coroutine_test.h"
#include "unit/db/test_database.h"

#include "core/async/event.h"
#include "core/base/clock.h"
#include "core/base/error.h"

using namespace wrenn;
using namespace std::chrono_literals;
using db::Connection;

namespace {

struct Heard {
  explicit Heard(async::Executor executor) : changed(executor) {}
  db::OnNotification listener() {
    return [this](std::optional<std::string_view> payload) {
      if (payload) {
        words.emplace_back(*payload);
      } else {
        ++losses;
      }
      changed.notify_all();
    };
  }
  async::Task<> until(std::size_t count) {
    const auto end = SteadyClock::now() + 10s;
    while (words.size() < count && SteadyClock::now() < end) (void)co_await changed.wait_for(1s);
    REQUIRE(words.size() >= count);
  }
  async::Task<> until_losses(int count) {
    const auto end = SteadyClock::now() + 10s;
    while (losses < count && SteadyClock::now() < end) (void)co_await changed.wait_for(1s);
    REQUIRE(losses >= count);
  }
  std::vector<std::string> words;
  int losses = 0;
  async::Event changed;
};

async::Task<> until_listening(db::Database& database) {
  for (int i = 0; i < 1000 && !database.listening(); ++i) co_await async::sleep(10ms);
  REQUIRE(database.listening());
}

async::Task<> tell(db::Database& database, std::string channel, std::string payload) {
  auto work = [&](Connection& c) { c.notify(channel, payload); };
  co_await database.write(work);
}

using Words = std::vector<std::string>;

async::Task<> told_after_commit(db::Database& database) {
  const auto executor = co_await asio::this_coro::executor;
  Heard heard(executor), others(executor);
  auto subscription = database.on_notification(executor, "color", heard.listener());
  auto other = database.on_notification(executor, "size", others.listener());
  co_await until_listening(database);

  bool failed = false;
  try {
    auto undone = [](Connection& c) {
      c.notify("color", "undone");
      throw_error(ErrorCode::aborted, "no");
    };
    co_await database.write(undone);
  } catch (const Error&) {
    failed = true;
  }
  CHECK(failed);
  auto work = [](Connection& c) {
    c.notify("color", "red and blue");
    c.notify("color", "");
    c.notify("size", "42");
  };
  co_await database.write(work);
  co_await heard.until(2);
  co_await others.until(1);
  CHECK(heard.words == Words{"red and blue", ""});
  CHECK(others.words == Words{"42"});

  subscription.reset();
  auto led = [](Connection& c) {
    c.notify("color", "late");
    c.notify("size", "43");
  };
  co_await database.lead(led);
  co_await others.until(2);
  CHECK(heard.words.size() == 2);
}

async::Task<> one_hears_the_other(db::Database& one, db::Database& other) {
  const auto executor = co_await asio::this_coro::executor;
  Heard heard(executor);
  auto subscription = one.on_notification(executor, "color", heard.listener());
  co_await heard.until_losses(1);  // the connection is new: nothing is known of the time before
  CHECK(one.listening());
  CHECK_FALSE(other.listening());
  co_await tell(other, "color", "red");
  co_await tell(one, "color", "blue");
  co_await heard.until(2);
  CHECK(heard.words == Words{"red", "blue"});

  // Every connection breaks, as when the server is restarted.
  auto cut = [](Connection& c) {
    c.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'", {},
            [](const db::Row&) {});
  };
  co_await other.write(cut);
  co_await heard.until_losses(2);
  co_await until_listening(one);
  co_await tell(other, "color", "green");
  co_await heard.until(3);
  CHECK(heard.words.back() == "green");
}

}  // namespace

TEST_CASE("words are told once their write is committed, and to those who listen", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  test::run(told_after_commit(*database));
}

TEST_CASE("a word that is too long fails its write on every engine", "[engine]") {
  const TestDatabase temp;
  const auto database = temp.open();
  const auto tell_bytes = [&](std::size_t bytes) {
    database->write_now([&](Connection& c) { c.notify("color", std::string(bytes, 'x')); });
  };
  tell_bytes(7993);
  CHECK_THROWS_AS(tell_bytes(7994), Error);
}

TEST_CASE("processes hear each other, also after the server has cut them off", "[.][postgres]") {
  const TestDatabase temp;
  const auto one = temp.open(), other = temp.open();
  test::run(one_hears_the_other(*one, *other));
}
