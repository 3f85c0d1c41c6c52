// A durable stream of events in the database, `wrenn:events`.
//
//   change + append()      one transaction: an event is there if and only if its change is
//          │ commit        … in any order
//          ▼
//   number()               one process at a time gives out 1, 2, 3, … (sequencer.h)
//          │
//          ▼
//   read_after(position)   readers that follow the numbers miss nothing: below a number nothing comes later
//
// Numbers follow the times of the events, and within one resource their positions, which no clock can turn
// round. A group of readers keeps its position in `event_groups`, and moves it in the transaction that holds
// what it made of the events: each event is handled at least once, and what is written about it exactly once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"

namespace wrenn::events {

inline constexpr std::string_view kStream = "wrenn:events";

// Words of Connection::notify.
inline constexpr std::string_view kAppended = "events.appended";
inline constexpr std::string_view kNumbered = "events.numbered";

struct Record {
  std::string type;
  std::string team;
  std::string resource;       // events of one resource keep their order
  std::int64_t position = 0;  // within the resource; larger is later
  std::string payload;
  UnixTime at;
};

struct Event : Record {
  std::string id;
  std::int64_t seq = 0;
};

// All throw as db::Connection::query().

// Within the write that makes the change.
void append(db::Connection& connection, const Record& record);

// Numbers up to `limit` events that have no number; returns how many. By one process at a time: under a
// lease.
std::size_t number(db::Connection& connection, std::size_t limit);

// In the order of their numbers, those above `seq`; of one team if it is not empty.
std::vector<Event> read_after(db::Connection& connection, std::int64_t seq, std::size_t limit,
                              std::string_view team = {});
// The number given last; 0 before the first.
std::int64_t last_number(db::Connection& connection);

// Where a group of readers stands. A group that is new begins before the first event.
std::int64_t group_position(db::Connection& connection, std::string_view group);
// Its readers are gone for good: nothing waits for them any more.
void erase_group(db::Connection& connection, std::string_view group);
// Forward only.
void move_group(db::Connection& connection, std::string_view group, std::int64_t position);

}  // namespace wrenn::events
