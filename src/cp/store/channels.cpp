#include "cp/store/channels.h"

#include "core/json/fields.h"
#include "cp/store/columns.h"

namespace wrenn::cp::store {

static constexpr std::string_view kChannelColumns =
    "id, team_id, name, provider, config, event_types, probe_at, created_at, updated_at";

static Channel read_channel(const db::Row& row) {
  Channel channel;
  channel.id = stored_id<model::ChannelId>(row.text(0));
  channel.team = stored_id<model::TeamId>(row.text(1));
  channel.name = row.text(2);
  channel.provider = row.text(3);
  channel.config = row.text(4);
  channel.events = json::from_json<std::vector<std::string>>(row.text(5));
  if (!row.is_null(6)) channel.probe_at = UnixTime{row.integer(6)};
  channel.created_at = UnixTime{row.integer(7)};
  channel.updated_at = UnixTime{row.integer(8)};
  return channel;
}

static std::vector<Channel> select_channels(db::Connection& connection, std::string_view where,
                                            const std::vector<db::Param>& params) {
  std::vector<Channel> channels;
  connection.query(fmt::format("SELECT {} FROM channels WHERE {}", kChannelColumns, where), params,
                   [&](const db::Row& row) { channels.push_back(read_channel(row)); });
  return channels;
}

void insert_channel(db::Connection& connection, const Channel& channel) {
  connection.execute(
      "INSERT INTO channels (id, team_id, name, provider, config, event_types, created_at, updated_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
      {channel.id.text(), channel.team.text(), channel.name, channel.provider, channel.config,
       json::to_json(channel.events), channel.created_at.us, channel.updated_at.us});
}

std::optional<Channel> find_channel(db::Connection& connection, const model::ChannelId& id) {
  return only(select_channels(connection, "id = $1", {id.text()}));
}

std::optional<Channel> find_channel(db::Connection& connection, const model::TeamId& team,
                                    const model::ChannelId& id) {
  return only(select_channels(connection, "id = $1 AND team_id = $2", {id.text(), team.text()}));
}

std::vector<Channel> channels_of(db::Connection& connection, const model::TeamId& team) {
  return select_channels(connection, "team_id = $1 ORDER BY created_at DESC, id DESC", {team.text()});
}

std::int64_t count_channels(db::Connection& connection, const model::TeamId& team) {
  return count(connection, "SELECT COUNT(*) FROM channels WHERE team_id = $1", {team.text()});
}

void update_channel(db::Connection& connection, const Channel& channel) {
  connection.execute(
      "UPDATE channels SET name = $2, event_types = $3, config = $4, updated_at = $5 WHERE id = $1",
      {channel.id.text(), channel.name, json::to_json(channel.events), channel.config,
       channel.updated_at.us});
}

bool delete_channel(db::Connection& connection, const model::TeamId& team, const model::ChannelId& id) {
  return connection.execute("DELETE FROM channels WHERE id = $1 AND team_id = $2", {id.text(), team.text()}) >
         0;
}

bool set_channel_probe(db::Connection& connection, const model::ChannelId& id,
                       const std::optional<UnixTime>& at) {
  if (at)
    return connection.execute("UPDATE channels SET probe_at = $2 WHERE id = $1", {id.text(), at->us}) > 0;
  return connection.execute("UPDATE channels SET probe_at = NULL WHERE id = $1 AND probe_at IS NOT NULL",
                            {id.text()}) > 0;
}

}  // namespace wrenn::cp::store
