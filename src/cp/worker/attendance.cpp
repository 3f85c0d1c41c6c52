#include "cp/worker/attendance.h"

#include "cp/limits.h"
#include "cp/store/sandboxes.h"
#include "cp/worker/attempt.h"

namespace wrenn::cp::worker {

// A round that fails costs nobody his capsule.
static_assert(2 * limits::kAttendancePeriod < limits::kSettleGrace);

Task<> Attendance::run() {
  for (;;) {
    co_await async::sleep(limits::kAttendancePeriod);
    auto work = round();
    co_await attempt("operations under way were not noted; the next round tries again", std::move(work));
  }
}

Task<> Attendance::round() {
  const auto capsules = operations_.capsules();
  if (capsules.empty()) co_return;
  const auto at = now();
  // Nobody decides on what else he writes by what this writes, so it need not look as if it were alone, and
  // undoes no operation's end. Rows are taken in the order of their ids, as by all who take several.
  auto write = [&](db::Connection& connection) {
    for (const auto& id : capsules) store::set_sandbox_attended(connection, id, at);
  };
  co_await database_.lead(write);
}

}  // namespace wrenn::cp::worker
