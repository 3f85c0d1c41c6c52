// A connection to PostgreSQL.
//
// A read of one statement costs one journey to the server: its BEGIN travels with the statement, and nobody
// waits for the answer of its COMMIT, which is read before the connection is used again.
//
//   us      BEGIN, statement ─┐         ┌─ COMMIT ─────────┐               next BEGIN, …
//   server                    └─ rows ──┘                  └─ (lies in the socket)
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "core/db/database.h"
#include "core/db/postgres_handle.h"

namespace wrenn::db {

// Why a transaction has to begin anew; only PostgresDatabase sees it.
class Conflict : public Failure {
 public:
  using Failure::Failure;
};

// Blocking, for one thread at a time. All but the noexcept ones throw as Connection::query() does, and
// Conflict.
class PostgresConnection final : public Connection {
 public:
  explicit PostgresConnection(std::string url);

  std::int64_t query(std::string_view sql, const std::vector<Param>& params,
                     const std::function<void(const Row&)>& on_row) override;
  void run_script(std::string_view sql) override;
  // The server tells after the commit.
  void tell(std::string_view channel, std::string_view payload) override;

  // The next statement is the first of a read, or all of it. If the connection broke while it idled, that
  // one gets another.
  enum class Begin { read, none };
  void begin_read(Begin begin) noexcept { due_ = begin; }
  // Nothing is lost when it fails, and then the connection's next user sees why.
  void end_read() noexcept;
  void commit();

  // Ends a transaction that a failure left open. False when the connection is of no use any more.
  bool roll_back() noexcept;

 private:
  class Values;
  void open();
  Result run(std::string_view sql, const Values& values);
  Result run_first(std::string_view sql, const Values& values);
  Result send_first(std::string_view sql, const Values& values);
  Result answer();
  [[noreturn]] void lost() const;
  const std::string* prepared(std::string_view sql);
  void check(const PGresult* result, std::string_view what) const;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  const std::string url_;
  Handle handle_;
  std::optional<Begin> due_;
  bool in_read_ = false;     // between the first statement and end_read()
  bool committing_ = false;  // a COMMIT is sent whose answer nobody has read
  // Names of prepared statements, by text.
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> names_;
};

}  // namespace wrenn::db
