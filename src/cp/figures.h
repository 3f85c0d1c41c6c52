// Figures of what has no better place for them. README.md lists all.
#pragma once

#include "core/db/database.h"
#include "core/db/room.h"
#include "core/metrics/metrics.h"
#include "cp/services.h"

namespace wrenn::cp {

// What the database did for coroutines, as long as this lives; its room is told of it, too.
class DatabaseFigures {
 public:
  // All must outlive this. On the thread of who awaits the database.
  DatabaseFigures(db::Database& database, db::Room& room, metrics::Registry& registry);
  ~DatabaseFigures() { database_.observe({}); }
  DatabaseFigures(const DatabaseFigures&) = delete;
  DatabaseFigures& operator=(const DatabaseFigures&) = delete;

 private:
  struct Series {
    Series(metrics::Registry& registry, const char* kind);
    void count(const db::Measured& measured) noexcept;
    metrics::Histogram& seconds;
    metrics::Counter& failures;
  };

  db::Database& database_;
  Series reads_, writes_;
};

// Those whose value is a question: asked when somebody looks (GET /metrics).
// Throws as Database::read().
Task<> refresh_figures(Services& services);

}  // namespace wrenn::cp
