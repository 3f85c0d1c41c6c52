// Rows of notification channels.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

struct Channel {
  model::ChannelId id;
  model::TeamId team;
  std::string name;
  std::string provider;
  std::string config;               // JSON object of strings, each value sealed (cp/channels/sealed_config.h)
  std::vector<std::string> events;  // types
  std::optional<UnixTime> probe_at;  // the last delivery failed; the next is tried then
  UnixTime created_at, updated_at;
};

// All throw as db::Connection::query().

// Throws Error(already_exists) if the team has one of that name; so does update_channel().
void insert_channel(db::Connection& connection, const Channel& channel);
std::optional<Channel> find_channel(db::Connection& connection, const model::ChannelId& id);
// Absent if it is another team's.
std::optional<Channel> find_channel(db::Connection& connection, const model::TeamId& team,
                                    const model::ChannelId& id);
std::vector<Channel> channels_of(db::Connection& connection, const model::TeamId& team);  // newest first
std::int64_t count_channels(db::Connection& connection, const model::TeamId& team);
// Name, events, config.
void update_channel(db::Connection& connection, const Channel& channel);
// With its deliveries. False if there was none.
bool delete_channel(db::Connection& connection, const model::TeamId& team, const model::ChannelId& id);

// A delivery failed (the next attempt of the channel is made then), or worked.
// False if nothing has changed.
bool set_channel_probe(db::Connection& connection, const model::ChannelId& id,
                       const std::optional<UnixTime>& at);

}  // namespace wrenn::cp::store
