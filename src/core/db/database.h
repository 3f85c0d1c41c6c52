// The database: SQLite today, PostgreSQL beside it later, behind one interface and one SQL text.
//
// SQL is written for both engines: TEXT, BIGINT, DOUBLE PRECISION; placeholders $1, $2, …; ids and times come
// from the program; RETURNING and ON CONFLICT are allowed. A Connection belongs to one thread of the "db"
// pool at a time:
//
//   co_await db.read([&](Connection& c) { … });     // any connection, a consistent snapshot
//   co_await db.write([&](Connection& c) { … });    // one transaction, committed when the function returns,
//                                                   // rolled back when it throws
//
// N connections = N threads (architecture §4). SQLite has one writer: writes queue on it.
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

class Connection {
 public:
  virtual ~Connection() = default;

  // Runs one statement (kept prepared), calling `on_row` for each row. Returns the number of rows changed.
  // Throws Error: already_exists for a broken uniqueness, failed_precondition for another constraint,
  // unavailable when the database is busy or gone, resource_exhausted for a full disk, internal for a wrong
  // statement.
  virtual std::int64_t query(std::string_view sql, const std::vector<Param>& params,
                             const std::function<void(const Row&)>& on_row) = 0;

  std::int64_t execute(std::string_view sql, const std::vector<Param>& params = {}) {
    return query(sql, params, [](const Row&) {});
  }
  // Several statements without parameters, for migrations.
  virtual void run_script(std::string_view sql) = 0;
};

class Database {
 public:
  virtual ~Database() = default;

  template <typename F>
  auto read(F work) -> Task<std::invoke_result_t<F&, Connection&>> {
    return run<F>(std::move(work), false);
  }
  template <typename F>
  auto write(F work) -> Task<std::invoke_result_t<F&, Connection&>> {
    return run<F>(std::move(work), true);
  }

  // Blocking versions for start-up and tests; same rules.
  virtual void read_now(const std::function<void(Connection&)>& work) = 0;
  virtual void write_now(const std::function<void(Connection&)>& work) = 0;

  virtual std::string_view engine() const noexcept = 0;  // "sqlite"

  // Copies a consistent state of the whole database beside it ("<file>.<label>.bak", 0600, replaced if it is
  // there) and returns where; absent for a database that is not a file. Throws SystemError, Error as query().
  virtual std::optional<std::string> backup_now(std::string_view label) = 0;

 protected:
  virtual async::ThreadPool& read_pool() noexcept = 0;
  virtual async::ThreadPool& write_pool() noexcept = 0;

 private:
  template <typename F>
  auto run(F work, bool writing) -> Task<std::invoke_result_t<F&, Connection&>> {
    using Result = std::invoke_result_t<F&, Connection&>;
    auto job = [this, &work, writing]() -> Result {
      const auto with = [this, writing](const std::function<void(Connection&)>& inner) {
        writing ? write_now(inner) : read_now(inner);
      };
      if constexpr (std::is_void_v<Result>) {
        with([&](Connection& c) { work(c); });
      } else {
        std::optional<Result> result;
        with([&](Connection& c) { result.emplace(work(c)); });
        return std::move(*result);
      }
    };
    auto& pool = writing ? write_pool() : read_pool();
    if constexpr (std::is_void_v<Result>) {
      co_await async::offload(pool, std::move(job));
    } else {
      co_return co_await async::offload(pool, std::move(job));
    }
  }
};

// "sqlite:///absolute/path" or "sqlite://:memory:" (tests). Creates the file (0600). Throws
// Error(invalid_argument) for another scheme, SystemError/Error when it cannot be opened.
std::unique_ptr<Database> open_database(std::string_view url);

}  // namespace wrenn::db
