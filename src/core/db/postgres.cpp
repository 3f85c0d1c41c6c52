// PostgreSQL behind Database.
//
//   read    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY      one snapshot
//   read of one statement: nothing                             (a statement is a snapshot by itself)
//   write   BEGIN ISOLATION LEVEL SERIALIZABLE                   as if writers came one after the other, as
//                                                                they do in SQLite
//
// The server refuses one of two writers that got in each other's way (SQLSTATE 40001, 40P01); that one begins
// anew, so a function given to write() may be called more than once (database.h).
//
// A connection that breaks is closed, and with it all that idle: they broke together. Work whose transaction
// had not begun gets a new one, once, so that a restart of the server between two requests is not seen. A
// commit whose answer is lost is a failure, though it may have happened.
#include <mutex>
#include <thread>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/db/engines.h"
#include "core/db/limits.h"
#include "core/db/one_statement.h"
#include "core/db/postgres_connection.h"
#include "core/db/postgres_listener.h"
#include "core/log/log.h"

namespace wrenn::db {

namespace {

// A number that means nothing to anybody else ("wrenn" in ASCII).
constexpr std::int64_t kAloneLock = 0x7772656e6e;

class PostgresDatabase final : public Database {
 public:
  explicit PostgresDatabase(std::string url) : url_(std::move(url)) { give_back(connect()); }

  void write_now(const std::function<void(Connection&)>& work) override {
    for (int attempt = 1;; ++attempt) {
      try {
        return transact("BEGIN ISOLATION LEVEL SERIALIZABLE", work);
      } catch (const Conflict& conflict) {
        if (attempt == limits::kConflictAttempts)
          throw Failure(ErrorCode::unavailable,
                        fmt::format("{}; {} attempts, try again", conflict.what(), attempt));
      }
      // Apart from the other one, which has come this far, too.
      std::this_thread::sleep_for(limits::kConflictPause *
                                  (1 + random_below(static_cast<unsigned>(attempt))));
    }
  }

  void read_now(const std::function<void(Connection&)>& work) override {
    read(PostgresConnection::Begin::read, work);
  }
  void read_one_now(const std::function<void(Connection&)>& work) override {
    read(PostgresConnection::Begin::none, [&](Connection& connection) {
      OneStatement one(connection);
      work(one);
    });
  }

  // Snapshots are taken statement by statement here: a transaction's first statement would take it, and that
  // one waits for the lock.
  void alone_now(const std::function<void(Connection&)>& work) override {
    transact("BEGIN ISOLATION LEVEL READ COMMITTED", [&](Connection& connection) {
      connection.query("SELECT pg_advisory_xact_lock($1)", {kAloneLock}, [](const Row&) {});
      work(connection);
    });
  }

  void lead_now(const std::function<void(Connection&)>& work) override {
    transact("BEGIN ISOLATION LEVEL READ COMMITTED", work);
  }

  std::unique_ptr<Subscription> on_notification(async::Executor executor, std::string channel,
                                                OnNotification callback) override {
    auto subscription = told_->subscribe(std::move(executor), std::move(channel), std::move(callback));
    const std::lock_guard lock(mutex_);
    if (!listener_) listener_ = std::make_unique<PostgresListener>(url_, told_, write_threads_);
    return subscription;
  }
  bool listening() const noexcept override {
    const std::lock_guard lock(mutex_);
    return listener_ && listener_->listening();
  }

  // The server's operator makes backups (pg_dump, base backups).
  std::optional<std::string> backup_now(std::string_view) override { return std::nullopt; }

  std::string_view engine() const noexcept override { return "postgres"; }

 protected:
  async::ThreadPool& read_pool() noexcept override { return read_threads_; }
  async::ThreadPool& write_pool() noexcept override { return write_threads_; }

 private:
  using Owned = std::unique_ptr<PostgresConnection>;

  static unsigned random_below(unsigned end) {
    std::uint8_t byte = 0;
    fill_random({&byte, 1});
    return byte % end;
  }

  Owned connect() const { return std::make_unique<PostgresConnection>(url_); }

  Owned take_idle() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return nullptr;
    Owned connection = std::move(idle_.back());
    idle_.pop_back();
    return connection;
  }
  void give_back(Owned connection) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
  }
  void drop_idle() noexcept {
    std::vector<Owned> broken;
    const std::lock_guard lock(mutex_);
    broken.swap(idle_);
  }

  // A connection in a transaction.
  Owned begin(std::string_view how) {
    if (Owned connection = take_idle()) {
      try {
        connection->run_script(how);
        return connection;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unavailable) throw;
        log::info("the connections to the database broke; connecting anew", {{"error", error.what()}});
        drop_idle();
      }
    }
    Owned connection = connect();
    connection->run_script(how);
    return connection;
  }

  void read(PostgresConnection::Begin begin, const std::function<void(Connection&)>& work) {
    try {
      Owned idle = take_idle();
      const Loan connection(*this, idle ? std::move(idle) : connect());
      connection->begin_read(begin);
      work(*connection);
      connection->end_read();
    } catch (const Conflict& conflict) {
      throw Failure(ErrorCode::unavailable, conflict.what());
    }
  }

  void transact(std::string_view how, const std::function<void(Connection&)>& work) {
    const Loan connection(*this, begin(how));
    work(*connection);
    connection->commit();
  }

  // A connection that is given back when its work is done, and whatever of it failed, undone. What cannot be
  // undone is closed, and so is all that idles: they broke together.
  class Loan {
   public:
    Loan(PostgresDatabase& owner, Owned connection) noexcept
        : owner_(owner), connection_(std::move(connection)) {}
    ~Loan() {
      if (!connection_->roll_back()) {
        owner_.drop_idle();
        return;
      }
      try {
        owner_.give_back(std::move(connection_));
      } catch (const std::bad_alloc&) {
        // Closed instead.
      }
    }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    PostgresConnection* operator->() const noexcept { return connection_.get(); }
    PostgresConnection& operator*() const noexcept { return *connection_; }

   private:
    PostgresDatabase& owner_;
    Owned connection_;
  };

  const std::string url_;

  const std::shared_ptr<Notifications> told_ = std::make_shared<Notifications>();

  mutable std::mutex mutex_;
  std::vector<Owned> idle_;

  // Last: their destructors wait for work that uses what stands above.
  async::ThreadPool read_threads_{"db-read", limits::kPostgresReadThreads};
  async::ThreadPool write_threads_{"db-write", limits::kPostgresWriteThreads};
  std::unique_ptr<PostgresListener> listener_;
};

}  // namespace

std::unique_ptr<Database> open_postgres(std::string_view url) {
  return std::make_unique<PostgresDatabase>(std::string(url));
}

}  // namespace wrenn::db
