// SQLite behind Database. The only file that sees sqlite3.h.
//
//   writers ──queue──▶ one connection      BEGIN IMMEDIATE … COMMIT
//   readers ─────────▶ idle connections    BEGIN … COMMIT: a snapshot of the WAL that a writer does not
//   disturb
//
// Connections are opened without SQLite's own mutexes: each is used by one thread at a time, because it is
// taken out of `idle_` (or, the writing one, locked) for the time of a call. An in-memory database (tests)
// has one connection for both, for SQLite would give every further one a database of its own.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "core/db/engines.h"
#include "core/db/limits.h"
#include "core/db/one_statement.h"
#include "core/log/log.h"

namespace wrenn::db {

namespace {

ErrorCode code_of_result(int result) noexcept {
  switch (result & 0xff) {
    case SQLITE_CONSTRAINT:
      return result == SQLITE_CONSTRAINT_UNIQUE || result == SQLITE_CONSTRAINT_PRIMARYKEY ||
                     result == SQLITE_CONSTRAINT_ROWID
                 ? ErrorCode::already_exists
                 : ErrorCode::failed_precondition;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
      return ErrorCode::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::data_loss;
    default:
      return ErrorCode::internal;
  }
}

// Of its shared memory (-shm), which has to grow, too, SQLite says only that there was an I/O error.
bool is_full(sqlite3* handle, int result) noexcept {
  switch (result & 0xff) {
    case SQLITE_FULL:
      return true;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
      const int error = handle != nullptr ? sqlite3_system_errno(handle) : 0;
      return error == ENOSPC || error == EDQUOT;
    }
    default:
      return false;
  }
}

// `what` (the statement) stands only in messages that are for the log: the others may be shown to a user.
[[noreturn]] void throw_sqlite(sqlite3* handle, int result, std::string_view what) {
  const std::string_view detail = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(result);
  if (is_full(handle, result)) throw_full();
  const auto code = code_of_result(result);
  switch (code) {
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
      throw_error(code, "database: {}", detail);
    default:
      throw Failure(code, fmt::format("database: {}: {}{}", what, detail,
                                      (result & 0xff) == SQLITE_BUSY ? "; another process holds it" : ""));
  }
}

struct CloseHandle {
  void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
};
using Handle = std::unique_ptr<sqlite3, CloseHandle>;

// A prepared statement. SQLite counts "$2" as a name, not as a number, so the number that each position
// stands for is read once here.
class Statement {
 public:
  Statement(sqlite3* handle, std::string_view sql) : handle_(handle) {
    const char* tail = nullptr;
    const int result = sqlite3_prepare_v3(handle, sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &statement_, &tail);
    if (result != SQLITE_OK) throw_sqlite(handle, result, sql);
    // From here on the destructor does not run if this constructor throws.
    ScopeGuard finalize([this] { sqlite3_finalize(statement_); });
    if (statement_ == nullptr || !trim(std::string_view(tail, sql.data() + sql.size())).empty())
      throw_error(ErrorCode::internal, "database: not exactly one statement: {}", sql);
    const int count = sqlite3_bind_parameter_count(statement_);
    for (int position = 1; position <= count; ++position) {
      const char* name = sqlite3_bind_parameter_name(statement_, position);
      const auto number = name != nullptr && *name == '$' ? parse_int<int>(name + 1) : std::nullopt;
      if (!number || *number < 1)
        throw_error(ErrorCode::internal, "database: parameters are $1, $2, …: {}", sql);
      numbers_.push_back(*number);
      highest_ = std::max(highest_, *number);
    }
    finalize.dismiss();
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(const std::vector<Param>& params) {
    if (static_cast<int>(params.size()) != highest_)
      throw_error(ErrorCode::internal, "database: {} parameters for {} places: {}", params.size(), highest_,
                  sqlite3_sql(statement_));
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      const auto& value = params[static_cast<std::size_t>(numbers_[i] - 1)].get();
      const int position = static_cast<int>(i) + 1;
      int result = SQLITE_OK;
      if (const auto* number = std::get_if<std::int64_t>(&value)) {
        result = sqlite3_bind_int64(statement_, position, *number);
      } else if (const auto* real = std::get_if<double>(&value)) {
        result = sqlite3_bind_double(statement_, position, *real);
      } else if (const auto* text = std::get_if<std::string>(&value)) {
        // Static: the parameters outlive the steps, and reset() clears the bindings.
        result =
            sqlite3_bind_text64(statement_, position, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
      } else {
        result = sqlite3_bind_null(statement_, position);
      }
      if (result != SQLITE_OK) throw_sqlite(handle_, result, "bind");
    }
  }

  // False at the end.
  bool step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    throw_sqlite(handle_, sqlite3_extended_errcode(handle_), sqlite3_sql(statement_));
  }

  void reset() noexcept {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }

  sqlite3_stmt* get() noexcept { return statement_; }
  bool read_only() const noexcept { return sqlite3_stmt_readonly(statement_) != 0; }

 private:
  sqlite3* handle_;
  sqlite3_stmt* statement_ = nullptr;
  std::vector<int> numbers_;  // of the parameter at each position
  int highest_ = 0;
};

class SqliteRow final : public Row {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  bool is_null(int column) const override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const override { return sqlite3_column_int64(statement_, column); }
  double number(int column) const override { return sqlite3_column_double(statement_, column); }
  std::string_view text(int column) const override {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    if (data == nullptr) return {};
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* statement_;
};

class SqliteConnection final : public Connection {
 public:
  explicit SqliteConnection(const std::string& path) {
    sqlite3* handle = nullptr;
    const int result = sqlite3_open_v2(
        path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(handle);
    if (result != SQLITE_OK) throw_sqlite(handle, result, "open " + path);
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, static_cast<int>(limits::kBusyTimeout.count()));
    // FULL: what was answered survives a power cut, too. With NORMAL the last rows are lost then, and a
    // capsule that has no row is an orphan, which is destroyed. It costs 0.3 ms a transaction on a disk that
    // flushes quickly [measured].
    run_script(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA "
        "temp_store=MEMORY;"
        "PRAGMA trusted_schema=OFF;");
    const auto cache = fmt::format("PRAGMA cache_size=-{};", limits::kPageCacheKib);
    run_script(cache);
  }

  std::int64_t query(std::string_view sql, const std::vector<Param>& params,
                     const std::function<void(const Row&)>& on_row) override {
    // Taken out of the cache while it runs, so `on_row` may run the same text again.
    auto statement = take(sql);
    ScopeGuard give_back([&] {
      statement->reset();
      put(sql, std::move(statement));
    });
    statement->bind(params);
    const SqliteRow row(statement->get());
    while (statement->step()) on_row(row);
    return statement->read_only() ? 0 : sqlite3_changes64(handle_.get());
  }

  void run_script(std::string_view sql) override {
    const std::string text(sql);
    const int result = sqlite3_exec(handle_.get(), text.c_str(), nullptr, nullptr, nullptr);
    if (result != SQLITE_OK)
      throw_sqlite(handle_.get(), sqlite3_extended_errcode(handle_.get()), "run script");
  }

  void tell(std::string_view channel, std::string_view payload) override {
    untold_.emplace_back(channel, payload);
  }
  // What is to be told once the transaction is committed.
  using Untold = std::vector<std::pair<std::string, std::string>>;
  Untold take_untold() noexcept { return std::exchange(untold_, {}); }

  // A transaction left open by a failure is undone; noexcept, because nothing better can be done about a
  // failure here.
  void roll_back() noexcept {
    untold_.clear();
    if (sqlite3_get_autocommit(handle_.get()) == 0)
      sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }

 private:
  std::unique_ptr<Statement> take(std::string_view sql) {
    const auto found = statements_.find(sql);
    if (found == statements_.end() || found->second == nullptr)
      return std::make_unique<Statement>(handle_.get(), sql);
    return std::move(found->second);
  }
  void put(std::string_view sql, std::unique_ptr<Statement> statement) noexcept {
    try {
      const auto found = statements_.find(sql);
      if (found != statements_.end()) {
        found->second = std::move(statement);
      } else if (statements_.size() < limits::kPreparedStatements) {
        statements_.emplace(std::string(sql), std::move(statement));
      }
    } catch (const std::bad_alloc&) {
      // Not kept; prepared again next time.
    }
  }

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  Untold untold_;
  // Order matters: statements are finalized before the handle is closed.
  Handle handle_;
  std::unordered_map<std::string, std::unique_ptr<Statement>, Hash, std::equal_to<>> statements_;
};

// The file, created with mode 0600 before SQLite would create it with the umask's; -wal and -shm inherit its
// mode.
void create_private_file(const std::string& path, int more_flags) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | more_flags, 0600);
  if (fd < 0) throw_errno("create database file {}", path);
  ::close(fd);
}

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(std::string path) : path_(std::move(path)), in_memory_(path_ == ":memory:") {
    if (!in_memory_) create_private_file(path_, 0);
    writer_ = std::make_unique<SqliteConnection>(path_);
  }

  void write_now(const std::function<void(Connection&)>& work) override {
    const std::lock_guard lock(write_mutex_);
    transact(*writer_, "BEGIN IMMEDIATE", work);
  }

  void read_now(const std::function<void(Connection&)>& work) override {
    if (in_memory_) return write_now(work);
    const Loan connection(*this);
    transact(*connection, "BEGIN", work);
  }

  void read_one_now(const std::function<void(Connection&)>& work) override {
    if (in_memory_) {
      const std::lock_guard lock(write_mutex_);
      return work_on_one(*writer_, work);
    }
    const Loan connection(*this);
    work_on_one(*connection, work);
  }

  // The one writer is alone among all processes.
  void alone_now(const std::function<void(Connection&)>& work) override { write_now(work); }

  void lead_now(const std::function<void(Connection&)>& work) override { write_now(work); }

  std::unique_ptr<Subscription> on_notification(async::Executor executor, std::string channel,
                                                OnNotification callback) override {
    return told_->subscribe(std::move(executor), std::move(channel), std::move(callback));
  }
  bool listening() const noexcept override { return true; }

  std::optional<std::string> backup_now(std::string_view label) override {
    if (in_memory_) return std::nullopt;
    const auto target = fmt::format("{}.{}.bak", path_, label);
    const auto unfinished = target + ".part";
    ::unlink(unfinished.c_str());
    create_private_file(unfinished, O_EXCL);
    ScopeGuard remove([&] { ::unlink(unfinished.c_str()); });
    SqliteConnection(path_).query("VACUUM INTO $1", {Param(unfinished)}, [](const Row&) {});
    if (::rename(unfinished.c_str(), target.c_str()) != 0) throw_errno("rename {} to {}", unfinished, target);
    remove.dismiss();
    return target;
  }

  std::string_view engine() const noexcept override { return "sqlite"; }

 protected:
  async::ThreadPool& read_pool() noexcept override { return in_memory_ ? write_threads_ : read_threads_; }
  async::ThreadPool& write_pool() noexcept override { return write_threads_; }

 private:
  void transact(SqliteConnection& connection, std::string_view begin,
                const std::function<void(Connection&)>& work) {
    connection.execute(begin);
    ScopeGuard undo([&] { connection.roll_back(); });
    work(connection);
    connection.execute("COMMIT");
    undo.dismiss();
    for (const auto& [channel, payload] : connection.take_untold()) told_->tell(channel, payload);
  }

  static void work_on_one(SqliteConnection& connection, const std::function<void(Connection&)>& work) {
    OneStatement one(connection);
    work(one);
  }

  // A reading connection, for as long as this lives.
  class Loan {
   public:
    explicit Loan(SqliteDatabase& owner) : owner_(owner), connection_(owner.borrow()) {}
    ~Loan() {
      const std::lock_guard lock(owner_.idle_mutex_);
      owner_.idle_.push_back(std::move(connection_));  // never beyond the capacity that borrow() reserved
    }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    SqliteConnection& operator*() const noexcept { return *connection_; }

   private:
    SqliteDatabase& owner_;
    std::unique_ptr<SqliteConnection> connection_;
  };

  std::unique_ptr<SqliteConnection> borrow() {
    {
      const std::lock_guard lock(idle_mutex_);
      if (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
      }
      idle_.reserve(++readers_);
    }
    return std::make_unique<SqliteConnection>(path_);
  }

  const std::string path_;
  const bool in_memory_;
  const std::shared_ptr<Notifications> told_ = std::make_shared<Notifications>();

  std::mutex write_mutex_;
  std::unique_ptr<SqliteConnection> writer_;

  std::mutex idle_mutex_;
  std::vector<std::unique_ptr<SqliteConnection>> idle_;
  std::size_t readers_ = 0;

  // Last: their destructors wait for work that uses what stands above.
  async::ThreadPool read_threads_{"db-read", limits::kReadThreads};
  async::ThreadPool write_threads_{"db-write", 1};
};

}  // namespace

std::unique_ptr<Database> open_sqlite(std::string_view url) {
  // Memory statistics take a global lock on every allocation of SQLite, and nobody reads them.
  static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)configured;  // fails only when SQLite is already in use, which harms nothing

  constexpr std::string_view kScheme = "sqlite://";
  const auto path = url.substr(std::min(kScheme.size(), url.size()));
  if (!url.starts_with(kScheme) || (path != ":memory:" && !path.starts_with('/')))
    throw_error(ErrorCode::invalid_argument,
                "database URL \"{}\": the path must be absolute: sqlite:///path/to/file", url);
  return std::make_unique<SqliteDatabase>(std::string(path));
}

}  // namespace wrenn::db
