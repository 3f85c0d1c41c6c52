#include "cp/store/deliveries.h"

#include <algorithm>
#include <map>
#include <set>

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static Delivery read_delivery(const db::Row& row) {
  Delivery delivery;
  delivery.event_id = row.text(0);
  delivery.channel = stored_id<model::ChannelId>(row.text(1));
  delivery.seq = row.integer(2);
  delivery.status = row.text(3);
  delivery.attempts = row.integer(4);
  delivery.refusals = row.integer(5);
  delivery.due_at = UnixTime{row.integer(6)};
  delivery.created_at = UnixTime{row.integer(7)};
  delivery.last_error = row.text(8);
  if (!row.is_null(9)) delivery.last_status = row.integer(9);
  delivery.finished_at = optional_time(row, 10);
  delivery.type = row.text(11);
  delivery.resource = row.text(12);
  delivery.payload = row.text(13);
  return delivery;
}

static std::vector<Delivery> select_deliveries(db::Connection& connection, std::string_view where,
                                               const std::vector<db::Param>& params) {
  std::vector<Delivery> deliveries;
  connection.query(
      fmt::format(
          "SELECT d.event_id, d.channel_id, d.seq, d.status, d.attempts, d.refusals, d.due_at, d.created_at, "
          "d.last_error, d.last_status, d.finished_at, e.type, d.resource, e.payload "
          "FROM deliveries d JOIN events e ON e.id = d.event_id WHERE {}",
          where),
      params, [&](const db::Row& row) { deliveries.push_back(read_delivery(row)); });
  return deliveries;
}

static void insert_delivery(db::Connection& connection, const events::Event& event,
                            const model::ChannelId& channel, UnixTime at) {
  connection.execute(
      "INSERT INTO deliveries (event_id, channel_id, seq, resource, status, first, due_at, created_at) "
      "VALUES ($1, $2, $3, $4, 'pending', CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE channel_id = $2 "
      "AND resource "
      "= $4 AND status = 'pending') THEN 0 ELSE 1 END, $5, $5) ON CONFLICT (event_id, channel_id) DO NOTHING",
      {event.id, channel.text(), event.seq, event.resource, at.us});
}

std::vector<model::ChannelId> take_in(db::Connection& connection, const std::vector<events::Event>& events,
                                      UnixTime at) {
  std::map<std::string, std::vector<Channel>> of_team;
  std::set<model::ChannelId> touched;
  for (const auto& event : events) {
    auto found = of_team.find(event.team);
    if (found == of_team.end())
      found =
          of_team.emplace(event.team, channels_of(connection, stored_id<model::TeamId>(event.team))).first;
    for (const auto& channel : found->second) {
      if (std::find(channel.events.begin(), channel.events.end(), event.type) == channel.events.end())
        continue;
      insert_delivery(connection, event, channel.id, at);
      touched.insert(channel.id);
    }
  }
  return {touched.begin(), touched.end()};
}

std::vector<model::ChannelId> channels_with_deliveries(db::Connection& connection) {
  std::vector<model::ChannelId> channels;
  connection.query("SELECT DISTINCT channel_id FROM deliveries WHERE first = 1", {},
                   [&](const db::Row& row) { channels.push_back(stored_id<model::ChannelId>(row.text(0))); });
  return channels;
}

std::vector<Delivery> due_deliveries(db::Connection& connection, const model::ChannelId& channel, UnixTime at,
                                     std::int64_t limit) {
  return select_deliveries(connection,
                           "d.channel_id = $1 AND d.first = 1 AND d.due_at <= $2 ORDER BY d.seq LIMIT $3",
                           {channel.text(), at.us, limit});
}

std::optional<UnixTime> next_due(db::Connection& connection, const model::ChannelId& channel) {
  std::optional<UnixTime> due;
  connection.query("SELECT MIN(due_at) FROM deliveries WHERE channel_id = $1 AND first = 1", {channel.text()},
                   [&](const db::Row& row) { due = optional_time(row, 0); });
  return due;
}

// Its resource is whose turn it is now.
static void move_first(db::Connection& connection, const model::ChannelId& channel,
                       std::string_view resource) {
  connection.execute(
      "UPDATE deliveries SET first = 1 WHERE channel_id = $1 AND event_id = (SELECT event_id FROM deliveries "
      "WHERE "
      "channel_id = $1 AND resource = $2 AND status = 'pending' ORDER BY seq LIMIT 1)",
      {channel.text(), resource});
}

void note_attempt(db::Connection& connection, const Attempt& attempt) {
  const bool pending = attempt.status == "pending";
  std::string resource;
  // Pending ones have no end. Said with their status it is an invitation to read all of the channel's by the
  // index of pending ones: PostgreSQL takes it while it has no statistics of the table.
  connection.query(
      "UPDATE deliveries SET status = $3, first = $4, attempts = attempts + 1, refusals = refusals + $5, "
      "due_at = $6, "
      "last_error = $7, last_status = $8, finished_at = $9 "
      "WHERE event_id = $1 AND channel_id = $2 AND finished_at IS NULL RETURNING resource",
      {attempt.event_id, attempt.channel.text(), attempt.status, pending, attempt.refused, attempt.due_at.us,
       attempt.error, attempt.http_status,
       pending ? std::nullopt : std::optional<std::int64_t>(attempt.at.us)},
      [&](const db::Row& row) { resource = row.text(0); });
  if (!resource.empty() && !pending) move_first(connection, attempt.channel, resource);
}

void end_outage(db::Connection& connection, const model::ChannelId& channel, UnixTime at) {
  if (set_channel_probe(connection, channel, std::nullopt))
    connection.execute(
        "UPDATE deliveries SET due_at = $2 WHERE channel_id = $1 AND first = 1 AND due_at > $2 AND refusals "
        "= 0",
        {channel.text(), at.us});
}

void try_at_once(db::Connection& connection, const model::ChannelId& channel, UnixTime at) {
  set_channel_probe(connection, channel, std::nullopt);
  connection.execute("UPDATE deliveries SET due_at = $2 WHERE channel_id = $1 AND first = 1 AND due_at > $2",
                     {channel.text(), at.us});
  connection.notify(kDeliveriesDue, channel.text());
}

void mend_first_deliveries(db::Connection& connection) {
  std::vector<std::pair<model::ChannelId, std::string>> unmarked;
  connection.query(
      "SELECT channel_id, resource FROM deliveries WHERE status = 'pending' GROUP BY channel_id, resource "
      "HAVING "
      "MAX(first) = 0",
      {}, [&](const db::Row& row) {
        unmarked.emplace_back(stored_id<model::ChannelId>(row.text(0)), row.text(1));
      });
  for (const auto& [channel, resource] : unmarked) move_first(connection, channel, resource);
}

std::vector<Delivery> deliveries_page(db::Connection& connection, const model::ChannelId& channel,
                                      std::string_view status, std::int64_t before, std::int64_t limit) {
  std::string where = "d.channel_id = $1";
  std::vector<db::Param> params{channel.text(), limit};
  if (before != 0) {
    params.emplace_back(before);
    where += fmt::format(" AND d.seq < ${}", params.size());
  }
  if (!status.empty()) {
    params.emplace_back(status);
    where += fmt::format(" AND d.status = ${}", params.size());
  }
  return select_deliveries(connection, where + " ORDER BY d.seq DESC LIMIT $2", params);
}

bool has_delivery(db::Connection& connection, const model::ChannelId& channel, std::string_view event_id) {
  return count(connection, "SELECT COUNT(*) FROM deliveries WHERE event_id = $1 AND channel_id = $2",
               {event_id, channel.text()}) > 0;
}

bool redeliver(db::Connection& connection, const model::ChannelId& channel, std::string_view event_id,
               UnixTime at) {
  connection.execute("UPDATE leases SET name = $1 WHERE name = $1", {kDeliveryLease});
  const auto changed = connection.execute(
      "UPDATE deliveries SET status = 'pending', attempts = 0, refusals = 0, due_at = $3, created_at = $3, "
      "finished_at = "
      "NULL, first = CASE WHEN EXISTS (SELECT 1 FROM deliveries other WHERE other.channel_id = $2 AND "
      "other.resource = "
      "deliveries.resource AND other.status = 'pending') THEN 0 ELSE 1 END "
      "WHERE event_id = $1 AND channel_id = $2 AND status <> 'pending'",
      {event_id, channel.text(), at.us});
  if (changed > 0) connection.notify(kDeliveriesDue, channel.text());
  return changed > 0;
}

}  // namespace wrenn::cp::store
