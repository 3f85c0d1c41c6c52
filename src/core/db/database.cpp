#include "core/db/database.h"

#include "core/base/scope_guard.h"
#include "core/db/engines.h"
#include "core/db/limits.h"

namespace wrenn::db {

void Connection::notify(std::string_view channel, std::string_view payload) {
  if (channel.size() + 1 + payload.size() > limits::kNotificationBytes)
    throw_error(ErrorCode::invalid_argument, "a notification of {} bytes is too long; put it into a row",
                payload.size());
  tell(channel, payload);
}

Database::Measurement::~Measurement() {
  if (!ended || !owner.observer_) return;
  owner.observer_({reads(kind) ? Measured::Kind::read : Measured::Kind::write, *ended - began, failed, full});
}

void Database::run_now(Measurement& measurement, const std::function<void(Connection&)>& work) {
  const ScopeGuard end([&] { measurement.ended = SteadyClock::now(); });
  try {
    switch (measurement.kind) {
      case Kind::read:
        return read_now(work);
      case Kind::read_one:
        return read_one_now(work);
      case Kind::write:
        return write_now(work);
      case Kind::lead:
        return lead_now(work);
    }
  } catch (const Failure& failure) {
    measurement.failed = true;
    measurement.full = failure.code() == ErrorCode::resource_exhausted;
    throw;
  }
}

void throw_full() {
  throw Failure(ErrorCode::resource_exhausted,
                "database: database or disk is full; free some space on its disk");
}

std::unique_ptr<Database> open_database(std::string_view url) {
  const auto scheme = url.substr(0, url.find(':'));
  if (scheme == "sqlite") return open_sqlite(url);
  if (scheme == "postgres" || scheme == "postgresql") return open_postgres(url);
  // The rest may hold a password, and so may a text that is no URL at all.
  if (url.find("://") == url.npos)
    throw_error(ErrorCode::invalid_argument,
                "the database's URL is none: use sqlite:///absolute/path or postgres://user@host/database");
  throw_error(ErrorCode::invalid_argument,
              "database URL with scheme \"{}\" is not supported: use sqlite:///absolute/path or "
              "postgres://user@host/database",
              scheme);
}

}  // namespace wrenn::db
