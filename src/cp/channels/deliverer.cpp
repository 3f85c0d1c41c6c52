#include "cp/channels/deliverer.h"

#include "core/base/scope_guard.h"
#include "core/events/limits.h"
#include "core/events/stream.h"
#include "core/log/log.h"
#include "cp/channels/limits.h"
#include "cp/channels/providers.h"
#include "cp/store/event_log.h"

namespace wrenn::cp::channels {

Deliverer::Deliverer(async::Executor executor, db::Database& database, EncryptionKey& key, Sender& sender,
                     metrics::Registry& registry, const ChannelConfig& config,
                     std::chrono::milliseconds retention)
    : executor_(executor),
      database_(database),
      key_(key),
      sender_(sender),
      metrics_(registry),
      config_(config),
      retention_(retention),
      lease_(executor, database, std::string(store::kDeliveryLease)),
      woken_(executor),
      slot_free_(executor),
      result_(executor) {}

Task<> Deliverer::run() {
  const auto numbered = database_.on_notification(executor_, std::string(events::kNumbered),
                                                  [this](std::optional<std::string_view>) {
                                                    asked_ = true;
                                                    woken_.notify_all();
                                                  });
  const auto due =
      database_.on_notification(executor_, std::string(store::kDeliveriesDue),
                                [this](std::optional<std::string_view> channel) { told(channel); });
  auto work = [this] { return lead(); };
  co_await lease_.run(std::move(work));
}

void Deliverer::told(std::optional<std::string_view> channel) {
  const auto id = channel ? model::ChannelId::parse(*channel) : std::nullopt;
  if (id) return wake(*id);
  asked_ = look_at_all_ = true;
  woken_.notify_all();
}

// As lease_.write(), but while the database is full it waits: what was found out is not found out again, which
// would tell receivers the same for as long as that lasts. Ends with the lease, too.
template <typename F>
auto Deliverer::write(F work) -> Task<std::invoke_result_t<F&, db::Connection&>> {
  for (;;) {
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<F&, db::Connection&>>) {
        co_await lease_.write(work);
        lacks_room_ = false;
        co_return;
      } else {
        auto result = co_await lease_.write(work);
        lacks_room_ = false;
        co_return result;
      }
    } catch (const db::Failure& failure) {
      if (failure.code() != ErrorCode::resource_exhausted) throw;
    }
    if (!std::exchange(lacks_room_, true)) log::warn("deliveries wait until the database has room");
    co_await async::sleep(limits::kRoomRetry);
  }
}

Task<> Deliverer::lead() {
  async::Scope lanes(executor_, "channels");
  lanes_scope_ = &lanes;
  const ScopeGuard reset([this] {
    lanes_scope_ = nullptr;
    lanes_.clear();
    results_.clear();
    failure_ = nullptr;
    sending_ = 0;
    lacks_room_ = false;
  });
  auto main = work();
  co_await lanes.run(std::move(main));
}

Task<> Deliverer::work() {
  auto mend = [](db::Connection& connection) { store::mend_first_deliveries(connection); };
  co_await write(mend);
  look_at_all_ = true;
  auto taking_in = take_in();
  auto noting = note_results();
  auto delivering = async::both(std::move(taking_in), std::move(noting));
  auto trimming = trim();
  co_await async::both(std::move(delivering), std::move(trimming));
}

Task<> Deliverer::take_in() {
  struct Taken {
    std::size_t events = 0;
    std::vector<model::ChannelId> channels;
  };
  auto step = [](db::Connection& connection) {
    const auto position = events::group_position(connection, kGroup);
    const auto batch = events::read_after(connection, position, limits::kTakenInAtOnce);
    Taken taken;
    taken.events = batch.size();
    if (batch.empty()) return taken;
    taken.channels = store::take_in(connection, batch, now());
    events::move_group(connection, kGroup, batch.back().seq);
    return taken;
  };
  for (;;) {
    asked_ = false;
    if (std::exchange(look_at_all_, false)) co_await wake_all();
    for (;;) {
      const Taken taken = co_await write(step);
      for (const auto& channel : taken.channels) wake(channel);
      if (taken.events < limits::kTakenInAtOnce) break;
    }
    if (asked_) continue;
    const std::chrono::milliseconds pause =
        database_.listening() ? limits::kLookAgain : events::limits::kPoll;
    if (!co_await woken_.wait_for(pause)) look_at_all_ = true;
  }
}

Task<> Deliverer::trim() {
  for (;;) {
    const UnixTime before{now().us - std::chrono::microseconds(retention_).count()};
    auto step = [before](db::Connection& connection) {
      return store::trim_events(connection, before, limits::kTrimmedAtOnce);
    };
    while (co_await write(step) == limits::kTrimmedAtOnce) co_await async::yield();
    co_await async::sleep(limits::kTrimPeriod);
  }
}

Task<> Deliverer::wake_all() {
  auto read = [](db::Connection& connection) { return store::channels_with_deliveries(connection); };
  const auto channels = co_await database_.read(read);
  for (const auto& channel : channels) wake(channel);
}

void Deliverer::wake(const model::ChannelId& channel) {
  if (lanes_scope_ == nullptr) return;
  auto& lane = lanes_[channel];
  if (lane) {
    lane->asked = true;
    lane->woken.notify_all();
    return;
  }
  lane = std::make_unique<Lane>(executor_, channel);
  start(keep_lane(*lane));
}

void Deliverer::start(Task<> task) {
  lanes_scope_->spawn(report(std::move(task)));
}

// A lane that ended would leave its channel alone: the whole work begins again instead.
Task<> Deliverer::report(Task<> task) {
  std::exception_ptr failure;
  try {
    co_await std::move(task);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure || async::is_cancellation(failure)) co_return;
  failure_ = failure;
  result_.notify_all();
}

Task<Deliverer::Plan> Deliverer::plan(const Lane& lane) {
  const auto under_way = lane.under_way.size();
  const auto at = now();
  auto read = [this, &lane, under_way, at](db::Connection& connection) {
    Plan plan;
    plan.channel = store::find_channel(connection, lane.channel);
    if (!plan.channel) return plan;
    // A key that was replaced and is not here fails this, and with it the lane: its events wait.
    if (lane.config_of != plan.channel->updated_at) plan.key = key_.in(connection);
    const auto& probe_at = plan.channel->probe_at;
    if (probe_at && (under_way > 0 || at < *probe_at)) {
      if (under_way == 0) plan.next = probe_at;
      return plan;
    }
    const auto most = probe_at ? 1 : limits::kAtOncePerChannel;
    if (under_way >= most) return plan;
    // Those under way are among them.
    plan.due = store::due_deliveries(connection, lane.channel, at, static_cast<std::int64_t>(most));
    if (plan.due.empty() && under_way == 0) plan.next = store::next_due(connection, lane.channel);
    return plan;
  };
  co_return co_await database_.read(read);
}

void Deliverer::learn(Lane& lane, const Plan& plan) {
  const auto& channel = *plan.channel;
  lane.provider = channel.provider;
  lane.name = channel.name;
  if (!plan.key) return;
  lane.config_of = channel.updated_at;
  lane.config.reset();
  try {
    lane.config = std::make_shared<const Config>(unseal(*plan.key, channel.config));
  } catch (const Error& error) {
    log::error("a channel cannot be used", {{"channel", channel.id.text()}, {"error", error.what()}});
  }
}

// Until nothing of its channel is pending.
Task<> Deliverer::keep_lane(Lane& lane) {
  for (;;) {
    lane.asked = false;
    lane.noted.clear();
    const Plan plan = co_await this->plan(lane);
    if (plan.channel) learn(lane, plan);
    const auto most = plan.channel && plan.channel->probe_at ? 1 : limits::kAtOncePerChannel;
    for (const auto& delivery : plan.due) {
      if (lane.under_way.size() >= most) break;
      // Its result was written while the plan was read.
      if (lane.noted.contains(delivery.event_id)) continue;
      if (!lane.under_way.insert(delivery.event_id).second) continue;
      start(attempt(lane, delivery));
    }
    if (lane.asked) continue;
    if (!lane.under_way.empty()) {
      co_await lane.woken.wait();
    } else if (plan.next) {
      const auto pause = std::chrono::microseconds(std::max<std::int64_t>(plan.next->us - now().us, 0));
      (void)co_await lane.woken.wait_for(std::min<std::chrono::microseconds>(pause, limits::kLookAgain));
    } else {
      lanes_.erase(model::ChannelId(lane.channel));  // the end of `lane`
      co_return;
    }
  }
}

Task<Outcome> Deliverer::send(std::string provider_name, std::shared_ptr<const Config> config,
                              const store::Delivery& delivery) {
  Outcome outcome;
  try {
    const auto* provider = find_provider(provider_name);
    if (provider == nullptr || !config)
      throw_error(ErrorCode::failed_precondition,
                  "the configuration of the channel cannot be used; give it anew");
    auto request = provider->request(*config, {delivery.event_id, delivery.payload, now(), random_uuid()});
    const auto answer = co_await sender_.send(std::move(request));
    outcome.status = answer.status;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;  // we end: this was no attempt
    outcome.failure = error.code();
    outcome.error = error.what();
  }
  co_return outcome;
}

Task<> Deliverer::attempt(Lane& lane, store::Delivery delivery) {
  const auto provider = lane.provider;
  const auto config = lane.config;
  while (sending_ >= limits::kAtOnce) co_await slot_free_.wait();
  ++sending_;
  Outcome outcome;
  {
    const ScopeGuard free_slot([this] {
      --sending_;
      slot_free_.notify_all();
    });
    outcome = co_await send(provider, config, delivery);
  }
  const auto result = judge(delivery, outcome, now(), config_);
  if (result.status != "delivered")
    log::write(result.status == "dead" ? log::Level::warn : log::Level::info,
               result.status == "dead" ? "an event is not delivered: given up"
                                       : "an event could not be delivered yet",
               {{"channel", delivery.channel.text()},
                {"event", delivery.type},
                {"event_id", delivery.event_id},
                {"resource", delivery.resource},
                {"attempts", delivery.attempts + 1},
                {"error", result.error}});
  count(result);
  results_.push_back(result);
  result_.notify_all();
}

void Deliverer::count(const store::Attempt& attempt) {
  const std::string_view result = attempt.status == "pending" ? "failed" : std::string_view(attempt.status);
  metrics_
      .counter("wrenn_cp_delivery_attempts_total",
               "Attempts to tell a channel of an event, by what became of it.",
               {{"result", std::string(result)}})
      .add();
}

// What came in meanwhile is written together. A result that cannot be written ends the work, unless only room
// is lacking: what was delivered is delivered again by whoever goes on.
Task<> Deliverer::note_results() {
  for (;;) {
    while (results_.empty() && !failure_) co_await result_.wait();
    if (failure_) std::rethrow_exception(failure_);
    const auto results = std::exchange(results_, {});
    auto note = [this, &results](db::Connection& connection) {
      std::map<model::ChannelId, std::optional<UnixTime>> probes;
      for (const auto& result : results) {
        store::note_attempt(connection, result);
        auto& probe = probes[result.channel];
        probe.reset();
        if (result.status != "delivered")
          probe = UnixTime{result.at.us + std::chrono::microseconds(config_.first_retry).count()};
      }
      for (const auto& [channel, probe] : probes) {
        if (probe) {
          store::set_channel_probe(connection, channel, probe);
        } else {
          store::end_outage(connection, channel, now());
        }
      }
    };
    co_await write(note);
    for (const auto& result : results) {
      const auto lane = lanes_.find(result.channel);
      if (lane == lanes_.end()) continue;
      lane->second->under_way.erase(result.event_id);
      lane->second->noted.insert(result.event_id);
      lane->second->asked = true;
      lane->second->woken.notify_all();
    }
  }
}

}  // namespace wrenn::cp::channels
