#include "core/db/postgres_connection.h"

#include <chrono>
#include <utility>

#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "core/db/engines.h"
#include "core/db/limits.h"
#include "core/db/postgres_listener.h"
#include "core/log/log.h"

namespace wrenn::db {

namespace {

constexpr const char* kBeginRead = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

// postgresql.org, "PostgreSQL Error Codes".
constexpr std::string_view kDiskFull = "53100";

ErrorCode code_of_state(std::string_view state) noexcept {
  const std::string_view group = state.substr(0, 2);
  if (state == "23505") return ErrorCode::already_exists;  // unique_violation
  if (group == "23") return ErrorCode::failed_precondition;
  if (group == "22") return ErrorCode::invalid_argument;  // a text that is no UTF-8, a number out of range
  if (group == "08" || group == "57") return ErrorCode::unavailable;     // connection; the server shuts down
  if (state == kDiskFull) return ErrorCode::resource_exhausted;
  if (group == "53" || group == "55") return ErrorCode::unavailable;  // connections, memory; locked
  if (state == "25006") return ErrorCode::unavailable;                   // a standby: the primary has moved
  if (group == "XX" && state != "XX000") return ErrorCode::data_loss;
  return ErrorCode::internal;
}

bool is_conflict(std::string_view state) noexcept {
  return state == "40001" || state == "40P01";  // serialization_failure, deadlock_detected
}

class PostgresRow final : public Row {
 public:
  explicit PostgresRow(const PGresult* result) : result_(result) {}
  void move_to(int row) noexcept { row_ = row; }
  bool is_null(int column) const override { return PQgetisnull(result_, row_, column) != 0; }
  std::int64_t integer(int column) const override {
    const std::string_view value = text(column);
    if (value == "t") return 1;
    if (value.empty() || value == "f") return 0;
    const auto number = parse_int<std::int64_t>(value);
    if (!number) throw_error(ErrorCode::internal, "database: \"{}\" is not an integer", value);
    return *number;
  }
  double number(int column) const override {
    const std::string_view value = text(column);
    if (value.empty()) return 0;
    return std::strtod(std::string(value).c_str(), nullptr);
  }
  std::string_view text(int column) const override {
    return {PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
  }

 private:
  const PGresult* result_;
  int row_ = 0;
};

}  // namespace

// The parameters of one statement in libpq's form: texts, null where a value is.
class PostgresConnection::Values {
 public:
  explicit Values(const std::vector<Param>& params) {
    texts_.reserve(params.size());
    for (const Param& param : params) {
      const auto& value = param.get();
      if (const auto* number = std::get_if<std::int64_t>(&value)) {
        texts_.push_back(fmt::to_string(*number));
      } else if (const auto* real = std::get_if<double>(&value)) {
        texts_.push_back(fmt::to_string(*real));
      } else if (const auto* text = std::get_if<std::string>(&value)) {
        if (text->find('\0') != std::string::npos)
          throw_error(ErrorCode::invalid_argument, "a text with a NUL character cannot be stored");
        pointers_.push_back(text->c_str());
        continue;
      } else {
        pointers_.push_back(nullptr);
        continue;
      }
      pointers_.push_back(texts_.back().c_str());
    }
  }
  int count() const noexcept { return static_cast<int>(pointers_.size()); }
  const char* const* data() const noexcept { return pointers_.data(); }

 private:
  std::vector<std::string> texts_;  // never reallocated: the pointers point into it
  std::vector<const char*> pointers_;
};

PostgresConnection::PostgresConnection(std::string url) : url_(std::move(url)) {
  open();
}

void PostgresConnection::open() {
  handle_.reset();
  names_.clear();
  committing_ = false;
  handle_ = open_handle(url_);
  const Result result(PQexec(
      handle_.get(), fmt::format("SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}",
                                 std::chrono::milliseconds(limits::kStatementTimeout).count())
                         .c_str()));
  check(result.get(), "SET");
}

std::int64_t PostgresConnection::query(std::string_view sql, const std::vector<Param>& params,
                                       const std::function<void(const Row&)>& on_row) {
  const Values values(params);
  const Result result = due_ ? run_first(sql, values) : run(sql, values);
  // The whole result is here, so `on_row` may ask for more.
  PostgresRow row(result.get());
  const int rows = PQntuples(result.get());
  for (int i = 0; i < rows; ++i) {
    row.move_to(i);
    on_row(row);
  }
  const std::string_view status = PQcmdStatus(result.get());
  if (status.starts_with("SELECT")) return 0;
  return parse_int<std::int64_t>(PQcmdTuples(result.get())).value_or(0);
}

void PostgresConnection::run_script(std::string_view sql) {
  if (due_) throw_error(ErrorCode::internal, "database: a script in a read");
  committing_ = false;  // libpq throws its answer away
  const Result result(PQexec(handle_.get(), std::string(sql).c_str()));
  check(result.get(), "run script");
}

void PostgresConnection::tell(std::string_view channel, std::string_view payload) {
  static const std::string kTell = fmt::format("SELECT pg_notify({}, $1)", kServerChannel);
  query(kTell, {fmt::format("{} {}", channel, payload)}, [](const Row&) {});
}

void PostgresConnection::end_read() noexcept {
  due_.reset();
  if (std::exchange(in_read_, false)) committing_ = PQsendQuery(handle_.get(), "COMMIT") != 0;
}

void PostgresConnection::commit() {
  const Result result(PQexec(handle_.get(), "COMMIT"));
  check(result.get(), "COMMIT");
  // A statement failed and somebody went on as if it had not.
  if (std::string_view(PQcmdStatus(result.get())) != "COMMIT")
    throw Failure(ErrorCode::internal, "database: the transaction had failed before and was undone");
}

bool PostgresConnection::roll_back() noexcept {
  due_.reset();
  in_read_ = false;
  if (!committing_ && PQtransactionStatus(handle_.get()) != PQTRANS_IDLE)
    PQclear(PQexec(handle_.get(), "ROLLBACK"));
  return PQstatus(handle_.get()) == CONNECTION_OK && PQpipelineStatus(handle_.get()) == PQ_PIPELINE_OFF &&
         (committing_ || PQtransactionStatus(handle_.get()) == PQTRANS_IDLE);
}

Result PostgresConnection::run(std::string_view sql, const Values& values) {
  const std::string* name = prepared(sql);
  Result result(name != nullptr ? PQexecPrepared(handle_.get(), name->c_str(), values.count(), values.data(),
                                                 nullptr, nullptr, 0)
                                : PQexecParams(handle_.get(), std::string(sql).c_str(), values.count(),
                                               nullptr, values.data(), nullptr, nullptr, 0));
  check(result.get(), sql);
  return result;
}

// Nobody has seen anything of this read yet, so a connection that broke while it idled is replaced, once.
Result PostgresConnection::run_first(std::string_view sql, const Values& values) {
  try {
    return send_first(sql, values);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable || PQstatus(handle_.get()) == CONNECTION_OK) throw;
    log::info("a connection to the database broke; connecting anew", {{"error", error.what()}});
  }
  open();
  return send_first(sql, values);
}

Result PostgresConnection::send_first(std::string_view sql, const Values& values) {
  PGconn* const c = handle_.get();
  while (PGresult* rest = PQgetResult(c)) PQclear(rest);  // of the COMMIT of the read before
  committing_ = false;
  const std::string* name = prepared(sql);
  if (PQenterPipelineMode(c) == 0) lost();
  // Fails while answers are missing, and then the connection is of no use (roll_back()).
  const ScopeGuard leave([c]() noexcept { PQexitPipelineMode(c); });
  const bool begins = due_ == Begin::read;
  const bool sent =
      (!begins || PQsendQueryParams(c, kBeginRead, 0, nullptr, nullptr, nullptr, nullptr, 0) != 0) &&
      (name != nullptr
           ? PQsendQueryPrepared(c, name->c_str(), values.count(), values.data(), nullptr, nullptr, 0)
           : PQsendQueryParams(c, std::string(sql).c_str(), values.count(), nullptr, values.data(), nullptr,
                               nullptr, 0)) != 0 &&
      PQpipelineSync(c) != 0;
  if (!sent) lost();
  const Result begun = begins ? answer() : nullptr;
  Result result = answer();
  const Result end(PQgetResult(c));
  if (PQresultStatus(end.get()) != PGRES_PIPELINE_SYNC) lost();
  due_.reset();
  in_read_ = begins;
  if (begins) check(begun.get(), kBeginRead);
  check(result.get(), sql);
  return result;
}

// To one of several statements that were sent together: a result, and the null that ends it.
Result PostgresConnection::answer() {
  Result result(PQgetResult(handle_.get()));
  if (result == nullptr) lost();
  while (PGresult* more = PQgetResult(handle_.get())) result.reset(more);
  return result;
}

void PostgresConnection::lost() const {
  throw Failure(ErrorCode::unavailable,
                fmt::format("database: {}", trimmed_message(PQerrorMessage(handle_.get()))));
}

// Null when no more are kept.
const std::string* PostgresConnection::prepared(std::string_view sql) {
  const auto found = names_.find(sql);
  if (found != names_.end()) return &found->second;
  if (names_.size() >= limits::kPreparedStatements) return nullptr;
  std::string text(sql);
  std::string name = fmt::format("w{}", names_.size());
  const Result result(PQprepare(handle_.get(), name.c_str(), text.c_str(), 0, nullptr));
  check(result.get(), sql);
  return &names_.emplace(std::move(text), std::move(name)).first->second;
}

// `what` (the statement) stands only in messages that are for the log: the others may be shown to a user.
void PostgresConnection::check(const PGresult* result, std::string_view what) const {
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
      return;
    default:
      break;
  }
  const char* field = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "" : field;
  if (state.empty()) lost();  // not the server's word
  const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string_view message = trimmed_message(text);
  if (is_conflict(state)) throw Conflict(ErrorCode::unavailable, fmt::format("database: {}", message));
  const ErrorCode code = code_of_state(state);
  switch (code) {
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::invalid_argument:
      throw_error(code, "database: {}", message);
    case ErrorCode::resource_exhausted:
      throw_full();
    default:
      throw Failure(code, fmt::format("database: {}: {} ({})", what, message, state));
  }
}

}  // namespace wrenn::db
