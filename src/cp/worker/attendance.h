// Says in the rows of capsules that operations of this process are at work on them. To its own reconciler
// that is known (Operations::busy); to those of other processes a transient row that nobody attends to for
// limits::kSettleGrace is one whose process is gone.
#pragma once

#include "core/db/database.h"
#include "cp/service/operation.h"

namespace wrenn::cp::worker {

using async::Task;

class Attendance {
 public:
  // Both must outlive this.
  Attendance(db::Database& database, const service::Operations& operations)
      : database_(database), operations_(operations) {}

  // A round every limits::kAttendancePeriod; one that fails is repeated by the next. Ends by cancellation
  // only.
  Task<> run();
  // Writes nothing while no operation is under way. Throws what the database throws.
  Task<> round();

 private:
  db::Database& database_;
  const service::Operations& operations_;
};

}  // namespace wrenn::cp::worker
