#include "core/events/sequencer.h"

#include "core/events/limits.h"

namespace wrenn::events {

Sequencer::Sequencer(async::Executor executor, db::Database& database)
    : executor_(executor),
      database_(database),
      lease_(executor, database, "events.sequencer"),
      woken_(executor) {}

Task<> Sequencer::run() {
  const auto told =
      database_.on_notification(executor_, std::string(kAppended), [this](std::optional<std::string_view>) {
        asked_ = true;
        woken_.notify_all();
      });
  auto work = [this] { return lead(); };
  co_await lease_.run(std::move(work));
}

Task<> Sequencer::lead() {
  auto step = [](db::Connection& connection) { return number(connection, limits::kNumberedAtOnce); };
  for (;;) {
    asked_ = false;
    while (co_await lease_.write(step) == limits::kNumberedAtOnce) {
    }
    if (!asked_) (void)co_await woken_.wait_for(database_.listening() ? limits::kLookAgain : limits::kPoll);
  }
}

}  // namespace wrenn::events
