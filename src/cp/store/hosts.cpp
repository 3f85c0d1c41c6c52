#include "cp/store/hosts.h"

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static constexpr std::string_view kHostColumns =
    "h.id, h.address, h.status, h.arch, h.cpu_cores, h.memory_mb, h.disk_gb, h.metadata, h.last_heartbeat_at, "
    "h.type, h.team_id, h.provider, h.availability_zone, h.created_by, h.created_at, h.updated_at";
static constexpr int kHostColumnCount = 16;

static Host read_host(const db::Row& row) {
  Host host;
  host.id = stored_id<model::HostId>(row.text(0));
  host.address = row.text(1);
  host.status = row.text(2);
  host.arch = row.text(3);
  host.cpu_cores = row.integer(4);
  host.memory_mb = row.integer(5);
  host.disk_gb = row.integer(6);
  host.metadata = row.text(7);
  host.last_heartbeat_at = optional_time(row, 8);
  host.type = row.text(9);
  if (!row.is_null(10)) host.team = stored_id<model::TeamId>(row.text(10));
  host.provider = row.text(11);
  host.availability_zone = row.text(12);
  host.created_by = row.text(13);
  host.created_at = UnixTime{row.integer(14)};
  host.updated_at = UnixTime{row.integer(15)};
  return host;
}

static std::vector<ListedHost> listed_hosts(db::Connection& connection, std::string_view condition,
                                            const std::vector<db::Param>& params) {
  const auto sql = fmt::format(
      "SELECT {}, t.name FROM hosts h LEFT JOIN teams t ON t.id = h.team_id {} ORDER BY h.created_at, h.id",
      kHostColumns, condition);
  std::vector<ListedHost> hosts;
  connection.query(sql, params, [&](const db::Row& row) {
    hosts.push_back({read_host(row), std::string(row.text(kHostColumnCount))});
  });
  return hosts;
}

std::vector<ListedHost> all_hosts(db::Connection& connection) {
  return listed_hosts(connection, "", {});
}

std::vector<ListedHost> byoc_hosts_of(db::Connection& connection, const model::TeamId& team) {
  return listed_hosts(connection, "WHERE h.type = $1 AND h.team_id = $2", {kByocHost, team.text()});
}

std::optional<ListedHost> find_host(db::Connection& connection, const model::HostId& id) {
  return only(listed_hosts(connection, "WHERE h.id = $1", {id.text()}));
}

Host ensure_local_host(db::Connection& connection, const std::string& address, UnixTime at) {
  static const std::string kFind =
      fmt::format("SELECT {} FROM hosts h ORDER BY h.created_at, h.id LIMIT 1", kHostColumns);
  std::optional<Host> host;
  connection.query(kFind, {}, [&](const db::Row& row) { host = read_host(row); });
  if (!host) {
    const auto id = model::HostId::random();
    connection.execute("INSERT INTO hosts (id, address, created_at, updated_at) VALUES ($1, $2, $3, $3)",
                       {id.text(), address, at.us});
    connection.query(kFind, {}, [&](const db::Row& row) { host = read_host(row); });
  } else if (host->address != address) {
    connection.execute("UPDATE hosts SET address = $2, updated_at = $3 WHERE id = $1",
                       {host->id.text(), address, at.us});
    host->address = address;
    host->updated_at = at;
  }
  return *host;
}

void set_host_facts(db::Connection& connection, const Host& host, UnixTime at) {
  connection.execute(
      "UPDATE hosts SET arch = $2, cpu_cores = $3, memory_mb = $4, disk_gb = $5, metadata = $6, updated_at = "
      "$7 "
      "WHERE id = $1",
      {host.id.text(), host.arch, host.cpu_cores, host.memory_mb, host.disk_gb, host.metadata, at.us});
}

static bool set_status(db::Connection& connection, const model::HostId& id, std::string_view status,
                       UnixTime at) {
  return connection.execute("UPDATE hosts SET status = $2, updated_at = $3 WHERE id = $1 AND status <> $2",
                            {id.text(), status, at.us}) > 0;
}

std::optional<UnixTime> host_last_heard(db::Connection& connection, const model::HostId& id) {
  std::optional<UnixTime> at;
  connection.query("SELECT last_heartbeat_at FROM hosts WHERE id = $1", {id.text()},
                   [&](const db::Row& row) { at = optional_time(row, 0); });
  return at;
}

bool set_host_heard(db::Connection& connection, const model::HostId& id, UnixTime at) {
  connection.execute("UPDATE hosts SET last_heartbeat_at = $2 WHERE id = $1", {id.text(), at.us});
  return set_status(connection, id, "online", at);
}

bool set_host_unreachable(db::Connection& connection, const model::HostId& id, UnixTime at) {
  return set_status(connection, id, "unreachable", at);
}

}  // namespace wrenn::cp::store
