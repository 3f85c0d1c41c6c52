// Deliveries of events to channels: one row for each event that a channel wants.
//
// Of the pending deliveries of one channel that concern one resource the first has first = 1, the others wait
// behind it; whoever finishes one moves the mark on. So what may be tried next is found by an index, however
// many wait. All changes but redeliver() are made under the lease of the delivery worker; redeliver() takes
// the row of that lease, so that marks are moved by one transaction at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "core/events/stream.h"
#include "cp/store/channels.h"

namespace wrenn::cp::store {

inline constexpr std::string_view kDeliveryLease = "channels.deliveries";
// Word of Connection::notify: something is due that was not; payload: the channel.
inline constexpr std::string_view kDeliveriesDue = "channels.due";

struct Delivery {
  std::string event_id;
  model::ChannelId channel;
  std::int64_t seq = 0;
  std::string status;  // pending | delivered | dead
  std::int64_t attempts = 0, refusals = 0;
  UnixTime due_at, created_at;
  std::string last_error;
  std::optional<std::int64_t> last_status;
  std::optional<UnixTime> finished_at;
  // Of the event.
  std::string type, resource, payload;
};

// All throw as db::Connection::query().

// Makes a delivery of each of `events` for each channel of its team that wants it; returns these channels.
std::vector<model::ChannelId> take_in(db::Connection& connection, const std::vector<events::Event>& events,
                                      UnixTime at);

// Channels with something pending.
std::vector<model::ChannelId> channels_with_deliveries(db::Connection& connection);
// Those that may be tried at `at`, oldest event first.
std::vector<Delivery> due_deliveries(db::Connection& connection, const model::ChannelId& channel, UnixTime at,
                                     std::int64_t limit);
// When the next one is due; absent if nothing is pending.
std::optional<UnixTime> next_due(db::Connection& connection, const model::ChannelId& channel);

// What became of an attempt. `status` is the delivery's afterwards; if it is not pending, the next of its
// resource is first.
struct Attempt {
  std::string event_id;
  model::ChannelId channel;
  std::string status;
  bool refused = false;
  UnixTime at, due_at;
  std::string error;
  std::optional<std::int64_t> http_status;
};
void note_attempt(db::Connection& connection, const Attempt& attempt);

// The channel can be reached again: what waited only for that is due now.
void end_outage(db::Connection& connection, const model::ChannelId& channel, UnixTime at);
// The channel has another configuration: everything is due now.
void try_at_once(db::Connection& connection, const model::ChannelId& channel, UnixTime at);

// Mends marks that are missing.
void mend_first_deliveries(db::Connection& connection);

// Newest event first; of one status if it is not empty; behind the event `before` if it is not 0.
std::vector<Delivery> deliveries_page(db::Connection& connection, const model::ChannelId& channel,
                                      std::string_view status, std::int64_t before, std::int64_t limit);
bool has_delivery(db::Connection& connection, const model::ChannelId& channel, std::string_view event_id);
// A finished one becomes pending again, with all its attempts. False if there is none that is finished.
bool redeliver(db::Connection& connection, const model::ChannelId& channel, std::string_view event_id,
               UnixTime at);

}  // namespace wrenn::cp::store
