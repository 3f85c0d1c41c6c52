// The database: SQLite or PostgreSQL, behind one interface and one SQL text.
//
// SQL is written for both engines: TEXT, BIGINT, DOUBLE PRECISION; placeholders $1, $2, …; ids and times come
// from the program; RETURNING and ON CONFLICT are allowed. A Connection belongs to one thread of the "db"
// pool at a time:
//
//   co_await db.read([&](Connection& c) { … });     // any connection, a consistent snapshot
//   co_await db.read_one([&](Connection& c) { … }); // the same for one statement, without a transaction
//   co_await db.write([&](Connection& c) { … });    // one transaction, committed when the function returns,
//                                                   // rolled back when it throws
//
// Writes are as if one came after the other. SQLite has one writer, and they queue on it; PostgreSQL undoes
// one of two that got in each other's way, and its function is called again, from the beginning. So a
// function sets what it has outside of the database, and does not add to it. Nor does it go on after a
// statement that failed: PostgreSQL ends the whole transaction then.
//
// N connections = N threads (architecture §4).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/async/offload.h"
#include "core/async/task.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/db/notifications.h"

namespace wrenn::db {

using async::Task;

// A parameter: text, integer, number or null. Text is copied by the call.
class Param {
 public:
  Param(std::nullptr_t) {}
  Param(std::string_view text) : value_(std::string(text)) {}
  Param(std::string text) : value_(std::move(text)) {}
  Param(const char* text) : value_(std::string(text)) {}
  Param(std::int64_t number) : value_(number) {}
  Param(int number) : value_(static_cast<std::int64_t>(number)) {}
  Param(bool flag) : value_(static_cast<std::int64_t>(flag)) {}
  Param(double number) : value_(number) {}
  template <typename T>
  Param(const std::optional<T>& maybe) {
    if (maybe) *this = Param(*maybe);
  }
  const auto& get() const noexcept { return value_; }

 private:
  std::variant<std::monostate, std::int64_t, double, std::string> value_;
};

// One row of a result, valid during the call of the row function only. Columns count from 0.
class Row {
 public:
  virtual ~Row() = default;
  virtual bool is_null(int column) const = 0;
  virtual std::int64_t integer(int column) const = 0;  // null → 0
  virtual double number(int column) const = 0;
  virtual std::string_view text(int column) const = 0;  // null → ""
};

// It is the database that failed, and not what was asked of it: `unavailable` when it is busy or gone,
// `resource_exhausted` for a full disk, `data_loss`, `internal` for a statement that it does not understand.
class Failure : public Error {
 public:
  using Error::Error;
};

class Connection {
 public:
  virtual ~Connection() = default;

  // Runs one statement (kept prepared), calling `on_row` for each row. Returns the number of rows changed.
  // Throws Error: already_exists for a broken uniqueness, failed_precondition for another constraint,
  // invalid_argument for a text that cannot be stored, internal for a misuse; Failure.
  virtual std::int64_t query(std::string_view sql, const std::vector<Param>& params,
                             const std::function<void(const Row&)>& on_row) = 0;

  std::int64_t execute(std::string_view sql, const std::vector<Param>& params = {}) {
    return query(sql, params, [](const Row&) {});
  }
  // Several statements without parameters, for migrations.
  virtual void run_script(std::string_view sql) = 0;

  // Tells `payload` to whoever listens to `channel` (a word without spaces), in every process that shares the
  // database, once this write is committed. Equal words of one write may arrive as one. Together they have
  // less than 8000 bytes, else Error(invalid_argument).
  void notify(std::string_view channel, std::string_view payload);

 protected:
  virtual void tell(std::string_view channel, std::string_view payload) = 0;
};

// A read or a write that has ended, for who measures. A function that was called again counts once.
struct Measured {
  enum class Kind { read, write };
  Kind kind;
  SteadyClock::duration took;  // from the call on: waiting for a thread counts, too
  bool failed;                 // by a Failure; what the function threw by itself is none
  bool full;                   // … because there is no room for what was to be written
};

class Database {
 public:
  virtual ~Database() = default;

  template <typename F>
  auto read(F work) -> Task<std::invoke_result_t<F&, Connection&>> {
    return run<F>(std::move(work), Kind::read);
  }
  // A read of one statement, which is a snapshot by itself; another one throws Error(internal).
  template <typename F>
  auto read_one(F work) -> Task<std::invoke_result_t<F&, Connection&>> {
    return run<F>(std::move(work), Kind::read_one);
  }
  template <typename F>
  auto write(F work) -> Task<std::invoke_result_t<F&, Connection&>> {
    return run<F>(std::move(work), Kind::write);
  }

  // A write that something else keeps apart from those that would disturb it, as a lease does (lease.h): it
  // is not made to look as if it were alone, so neither it nor another is undone for that. Each statement
  // sees what was committed before it; a row that it changes is its own until the end.
  template <typename F>
  auto lead(F work) -> Task<std::invoke_result_t<F&, Connection&>> {
    return run<F>(std::move(work), Kind::lead);
  }

  // `observer` is called for each of the four above that has ended, on the thread of who awaits it and before
  // he goes on; an empty one ends that. So all who await, and who calls this, have one thread. There is one
  // observer. It must not throw.
  using Observer = std::function<void(const Measured&)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  // `callback` is called on the thread of `executor` for each word told on `channel` (Connection::notify), by
  // this process, too. SQLite tells within the process only. A lost connection to PostgreSQL is told of by a
  // call without payload once there is another; so is the first one.
  virtual std::unique_ptr<Subscription> on_notification(async::Executor executor, std::string channel,
                                                        OnNotification callback) = 0;
  // Whether words arrive now. A server that went away silently is noticed after limits::kPeerSilence.
  virtual bool listening() const noexcept = 0;

  // Blocking versions for start-up and tests; same rules, and nobody observes them.
  virtual void read_now(const std::function<void(Connection&)>& work) = 0;
  virtual void read_one_now(const std::function<void(Connection&)>& work) = 0;
  virtual void write_now(const std::function<void(Connection&)>& work) = 0;
  virtual void lead_now(const std::function<void(Connection&)>& work) = 0;

  // A write beside which no other process makes one of these: for changes of the schema.
  virtual void alone_now(const std::function<void(Connection&)>& work) = 0;

  virtual std::string_view engine() const noexcept = 0;  // "sqlite", "postgres"

  // Copies a consistent state of the whole database beside it ("<file>.<label>.bak", 0600, replaced if it is
  // there) and returns where; absent for a database that is not a file. Throws SystemError, Error as query().
  virtual std::optional<std::string> backup_now(std::string_view label) = 0;

 protected:
  virtual async::ThreadPool& read_pool() noexcept = 0;
  virtual async::ThreadPool& write_pool() noexcept = 0;

 private:
  enum class Kind { read, read_one, write, lead };
  static bool reads(Kind kind) noexcept { return kind == Kind::read || kind == Kind::read_one; }

  // One call of run(), which it lives in; its end is set on a thread of the pool.
  struct Measurement {
    Measurement(const Database& owner, Kind kind) noexcept : owner(owner), kind(kind) {}
    ~Measurement();  // tells the observer
    Measurement(const Measurement&) = delete;
    Measurement& operator=(const Measurement&) = delete;

    const Database& owner;
    const Kind kind;
    const SteadyTime began = SteadyClock::now();
    std::optional<SteadyTime> ended;
    bool failed = false, full = false;
  };
  void run_now(Measurement& measurement, const std::function<void(Connection&)>& work);

  template <typename F>
  auto run(F work, Kind kind) -> Task<std::invoke_result_t<F&, Connection&>> {
    using Result = std::invoke_result_t<F&, Connection&>;
    Measurement measurement(*this, kind);
    auto job = [this, &work, &measurement]() -> Result {
      if constexpr (std::is_void_v<Result>) {
        run_now(measurement, [&](Connection& c) { work(c); });
      } else {
        std::optional<Result> result;
        run_now(measurement, [&](Connection& c) { result.emplace(work(c)); });
        return std::move(*result);
      }
    };
    auto& pool = reads(kind) ? read_pool() : write_pool();
    if constexpr (std::is_void_v<Result>) {
      co_await async::offload(pool, std::move(job));
    } else {
      co_return co_await async::offload(pool, std::move(job));
    }
  }

  Observer observer_;
};

// "sqlite:///absolute/path" or "sqlite://:memory:" (tests): creates the file (0600).
// "postgres://user:password@host:port/database?option=value", as libpq takes it (postgresql.org, "Connection
// URIs"): the database is there already. Throws Error(invalid_argument) for another scheme, SystemError/Error
// when it cannot be opened.
std::unique_ptr<Database> open_database(std::string_view url);

}  // namespace wrenn::db
