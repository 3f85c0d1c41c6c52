#include "cp/worker/attendance.h"

#include "cp/store/sandboxes.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "unit/coroutine_test.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using namespace wrenn::cp;
using db::Connection;
using service::Done;

namespace {

store::Sandbox pausing_row() {
  store::Sandbox row;
  row.id = model::SandboxId::random();
  row.template_name = "minimal";
  row.status = model::SandboxState::pausing;
  row.created_at = row.last_updated = UnixTime{10};
  return row;
}

// References: the test awaits its end.
async::Task<Done> until(async::Event& event) {
  co_await event.wait();
  co_return Done{};
}

async::Task<> attend() {
  const auto executor = co_await asio::this_coro::executor;
  TestDatabase place;
  const auto database = place.open();
  store::migrate(*database);
  const auto busy = pausing_row(), left = pausing_row();
  database->write_now([&](Connection& c) {
    store::ensure_platform_team(c, UnixTime{1});
    store::insert_sandbox(c, busy);
    store::insert_sandbox(c, left);
  });
  const auto find = [&](const model::SandboxId& id) {
    std::optional<store::Sandbox> row;
    database->read_now([&](Connection& c) { row = store::find_sandbox(c, id); });
    return row.value();
  };
  int writes = 0;
  database->observe([&](const db::Measured&) { ++writes; });

  async::Scope scope(executor, "operations");
  metrics::Registry registry;
  service::Operations operations(scope, registry);
  worker::Attendance attendance(*database, operations);
  co_await attendance.round();
  CHECK(writes == 0);

  async::Event go_on(executor);
  auto work = until(go_on);
  const auto operation = operations.begin("pause", busy.id.text(), {busy.id}, std::move(work));
  const auto before = now();
  co_await attendance.round();
  CHECK(writes == 1);
  auto row = find(busy.id);
  CHECK(row.attended_at >= before);
  CHECK(row.revision == busy.revision);
  CHECK(row.last_updated == busy.last_updated);
  CHECK(find(left.id).attended_at == UnixTime{});

  go_on.notify_all();
  co_await service::end_of(operation);
  co_await attendance.round();
  CHECK(writes == 1);
  co_await scope.join();
}

}  // namespace

TEST_CASE("rows of operations under way are attended to, and nothing else is written", "[engine]") {
  test::run(attend());
}
