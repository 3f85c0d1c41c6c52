#include "cp/store/hosts.h"

#include "cp/store/ids.h"

namespace wrenn::cp::store {

static constexpr std::string_view kHostColumns =
    "id, address, status, arch, cpu_cores, memory_mb, disk_gb, metadata, last_heartbeat_at";

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
  if (!row.is_null(8)) host.last_heartbeat_at = UnixTime{row.integer(8)};
  return host;
}

Host ensure_local_host(db::Connection& connection, const std::string& address, UnixTime at) {
  static const std::string kFind =
      fmt::format("SELECT {} FROM hosts ORDER BY created_at, id LIMIT 1", kHostColumns);
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

bool set_host_heard(db::Connection& connection, const model::HostId& id, UnixTime at) {
  connection.execute("UPDATE hosts SET last_heartbeat_at = $2 WHERE id = $1", {id.text(), at.us});
  return set_status(connection, id, "online", at);
}

bool set_host_unreachable(db::Connection& connection, const model::HostId& id, UnixTime at) {
  return set_status(connection, id, "unreachable", at);
}

std::vector<Template> usable_templates(db::Connection& connection, const model::TeamId& team) {
  std::vector<Template> templates;
  connection.query(
      "SELECT id, team_id, name, type, vcpus, memory_mb, size_bytes, default_user, default_env, metadata, "
      "created_at "
      "FROM templates t WHERE team_id IN ($1, $2) "
      "AND EXISTS (SELECT 1 FROM template_hosts h WHERE h.template_id = t.id) ORDER BY created_at DESC, id",
      {team.text(), model::kPlatformTeam.text()}, [&](const db::Row& row) {
        Template one;
        one.id = stored_id<model::TemplateId>(row.text(0));
        one.team = stored_id<model::TeamId>(row.text(1));
        one.name = row.text(2);
        one.type = row.text(3);
        one.vcpus = row.integer(4);
        one.memory_mb = row.integer(5);
        one.size_bytes = row.integer(6);
        one.default_user = row.text(7);
        one.default_env = row.text(8);
        one.metadata = row.text(9);
        one.created_at = UnixTime{row.integer(10)};
        templates.push_back(std::move(one));
      });
  return templates;
}

void replace_host_templates(db::Connection& connection, const model::HostId& host,
                            const std::vector<HostedTemplate>& templates) {
  connection.execute("DELETE FROM template_hosts WHERE host_id = $1", {host.text()});
  for (const auto& [row, generation] : templates) {
    // A template that was rebuilt under another id keeps its name: the old row goes first.
    connection.execute("DELETE FROM templates WHERE team_id = $1 AND name = $2 AND id <> $3",
                       {row.team.text(), row.name, row.id.text()});
    connection.execute(
        "INSERT INTO templates (id, team_id, name, type, size_bytes, default_user, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET team_id = excluded.team_id, "
        "name = excluded.name, size_bytes = excluded.size_bytes, default_user = excluded.default_user",
        {row.id.text(), row.team.text(), row.name, row.type, row.size_bytes, row.default_user,
         row.created_at.us});
    connection.execute("INSERT INTO template_hosts (template_id, host_id, generation) VALUES ($1, $2, $3)",
                       {row.id.text(), host.text(), generation});
  }
  connection.execute(
      "DELETE FROM templates WHERE team_id = $1 AND type = 'base' "
      "AND NOT EXISTS (SELECT 1 FROM template_hosts h WHERE h.template_id = templates.id)",
      {model::kPlatformTeam.text()});
}

}  // namespace wrenn::cp::store
