#include "cp/event_feed.h"

#include "core/base/error.h"
#include "core/events/limits.h"
#include "core/events/stream.h"
#include "core/http/sse.h"
#include "core/log/log.h"
#include "cp/channels/limits.h"
#include "cp/store/event_log.h"
#include "model/event.h"

namespace wrenn::cp {

namespace limits = channels::limits;

static EventFeed::Chunk render(const events::Event& event) {
  return std::make_shared<const std::string>(
      http::format_sse(event.type, event.payload, std::to_string(event.seq)));
}

EventFeed::EventFeed(async::Executor executor, db::Database& database)
    : executor_(executor), database_(database), woken_(executor) {}

Task<> EventFeed::run() {
  const auto numbered = database_.on_notification(executor_, std::string(events::kNumbered),
                                                  [this](std::optional<std::string_view>) {
                                                    asked_ = true;
                                                    woken_.notify_all();
                                                  });
  const auto transient = database_.on_notification(executor_, std::string(store::kTransient),
                                                   [this](std::optional<std::string_view> word) {
                                                     if (word) tell_transient(*word);
                                                   });
  std::string why_before;  // they could not be read
  for (;;) {
    std::exception_ptr failure;
    const auto began = SteadyClock::now();
    try {
      co_await follow();
    } catch (...) {
      failure = std::current_exception();
    }
    if (async::is_cancellation(failure)) std::rethrow_exception(failure);
    if (SteadyClock::now() - began > events::limits::kLookAgain) why_before.clear();
    auto why = wrenn::describe(failure);
    log::write(why == why_before ? log::Level::debug : log::Level::warn, "events cannot be read; trying again",
               {{"error", why}});
    why_before = std::move(why);
    co_await async::sleep(events::limits::kPoll);
  }
}

Task<> EventFeed::follow() {
  if (position_ < 0) {
    auto last = [](db::Connection& connection) { return events::last_number(connection); };
    position_ = co_await database_.read(last);
  }
  for (;;) {
    asked_ = false;
    const auto after = position_;
    auto next = [after](db::Connection& connection) {
      return events::read_after(connection, after, limits::kReadAtOnce);
    };
    const auto batch = co_await database_.read(next);
    for (const auto& event : batch) {
      if (anybody_hears(event.team)) tell(event.team, render(event));
      position_ = event.seq;
    }
    if (asked_ || batch.size() == limits::kReadAtOnce) continue;
    (void)co_await woken_.wait_for(database_.listening() ? events::limits::kLookAgain
                                                         : events::limits::kPoll);
  }
}

bool EventFeed::anybody_hears(std::string_view team) const {
  return by_team_.contains(team) || by_team_.contains(kEveryTeam);
}

void EventFeed::tell(std::string_view team, const Chunk& chunk) {
  for (const auto whose : {team, kEveryTeam})
    if (const auto found = by_team_.find(whose); found != by_team_.end())
      for (auto* listener : found->second) listener->push(chunk);
}

// "<team> <payload>"; there is one type of them.
void EventFeed::tell_transient(std::string_view word) {
  const auto space = std::min(word.find(' '), word.size());
  const auto team = word.substr(0, space);
  if (!anybody_hears(team)) return;
  word.remove_prefix(std::min(space + 1, word.size()));
  tell(team, std::make_shared<const std::string>(http::format_sse(model::event::kStateChanged, word)));
}

Task<std::vector<EventFeed::Kept>> EventFeed::read(std::string team, std::int64_t after, std::int64_t last) {
  std::vector<Kept> kept;
  if (after >= last) co_return kept;
  auto next = [&team, after](db::Connection& connection) {
    return events::read_after(connection, after, limits::kReadAtOnce, team);
  };
  for (const auto& event : co_await database_.read(next))
    if (event.seq <= last) kept.push_back({event.seq, render(event)});
  co_return kept;
}

EventFeed::Listener::Listener(EventFeed& feed, std::string team)
    : feed_(feed), team_(std::move(team)), begins_after_(feed.position_), changed_(feed.executor_) {
  auto& all = feed_.by_team_[team_];
  place_ = all.insert(all.end(), this);
  ++feed_.count_;
}

EventFeed::Listener::~Listener() {
  const auto found = feed_.by_team_.find(team_);
  found->second.erase(place_);
  if (found->second.empty()) feed_.by_team_.erase(found);
  --feed_.count_;
}

void EventFeed::Listener::push(const Chunk& chunk) {
  if (waiting_.size() >= limits::kListenerBacklog) {
    too_slow_ = true;
  } else {
    waiting_.push_back(chunk);
  }
  changed_.notify_all();
}

Task<EventFeed::Chunk> EventFeed::Listener::next(std::chrono::steady_clock::duration duration) {
  if (waiting_.empty() && !too_slow_) (void)co_await changed_.wait_for(duration);
  if (too_slow_) throw_error(ErrorCode::resource_exhausted, "the listener is too slow");
  if (waiting_.empty()) co_return nullptr;
  Chunk chunk;
  if (waiting_.size() == 1) {
    chunk = std::move(waiting_.front());
  } else {
    std::string all;  // one write instead of many
    for (const auto& one : waiting_) all += *one;
    chunk = std::make_shared<const std::string>(std::move(all));
  }
  waiting_.clear();
  co_return chunk;
}

}  // namespace wrenn::cp
