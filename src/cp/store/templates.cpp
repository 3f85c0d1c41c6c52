#include "cp/store/templates.h"

#include <map>

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static constexpr std::string_view kColumns =
    "id, team_id, name, type, vcpus, memory_mb, size_bytes, default_user, default_env, metadata, created_at, "
    "making_until, by_type, by_id, by_name";

static Template read_template(const db::Row& row) {
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
  if (!row.is_null(11)) one.making_until = UnixTime{row.integer(11)};
  one.by = {stored_actor_kind(row.text(12)), std::string(row.text(13)), std::string(row.text(14))};
  return one;
}

static bool exists(db::Connection& connection, std::string_view sql, const std::vector<db::Param>& params) {
  bool found = false;
  connection.query(sql, params, [&](const db::Row&) { found = true; });
  return found;
}

// With their places. What `sql` selects must be the platform's and one team's.
static std::vector<Template> query_templates(db::Connection& connection, std::string_view sql,
                                             const std::vector<db::Param>& params) {
  std::vector<Template> templates;
  std::map<model::TemplateId, std::size_t> places;
  connection.query(sql, params, [&](const db::Row& row) {
    templates.push_back(read_template(row));
    places[templates.back().id] = templates.size() - 1;
  });
  auto team = model::kPlatformTeam;
  for (const auto& one : templates)
    if (one.team != model::kPlatformTeam) team = one.team;
  connection.query(
      "SELECT template_id, host_id FROM template_hosts JOIN templates ON id = template_id "
      "WHERE team_id IN ($1, $2) ORDER BY host_id",
      {team.text(), model::kPlatformTeam.text()}, [&](const db::Row& row) {
        const auto found = places.find(stored_id<model::TemplateId>(row.text(0)));
        if (found != places.end())
          templates[found->second].hosts.push_back(stored_id<model::HostId>(row.text(1)));
      });
  return templates;
}

std::vector<Template> usable_templates(db::Connection& connection, const model::TeamId& team) {
  static const std::string kUsable = fmt::format(
      "SELECT {} FROM templates t WHERE team_id IN ($1, $2) AND making_until IS NULL "
      "AND EXISTS (SELECT 1 FROM template_hosts h WHERE h.template_id = t.id) ORDER BY created_at DESC, id",
      kColumns);
  return query_templates(connection, kUsable, {team.text(), model::kPlatformTeam.text()});
}

std::vector<Template> all_templates(db::Connection& connection) {
  static const std::string kAll = fmt::format(
      "SELECT {} FROM templates WHERE making_until IS NULL ORDER BY created_at DESC, id", kColumns);
  std::vector<Template> templates;
  connection.query(kAll, {}, [&](const db::Row& row) { templates.push_back(read_template(row)); });
  return templates;
}

std::vector<Template> templates_named(db::Connection& connection, const model::TeamId& team,
                                      std::string_view name) {
  static const std::string kNamed =
      fmt::format("SELECT {} FROM templates WHERE team_id IN ($1, $2) AND name = $3", kColumns);
  return query_templates(connection, kNamed, {team.text(), model::kPlatformTeam.text(), name});
}

// --- snapshots
// -----------------------------------------------------------------------------------------------

void begin_snapshot(db::Connection& connection, const Template& row) {
  std::optional<std::int64_t> making_until;
  if (row.making_until) making_until = row.making_until->us;
  static const std::string kInsert = fmt::format(
      "INSERT INTO templates ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
      kColumns);
  connection.execute(kInsert, {row.id.text(), row.team.text(), row.name, row.type, row.vcpus, row.memory_mb,
                               row.size_bytes, row.default_user, row.default_env, row.metadata,
                               row.created_at.us, making_until, to_string(row.by.kind), row.by.id,
                               row.by.name});
}

static void set_place(db::Connection& connection, const model::TemplateId& id, const model::HostId& host,
                      const std::string& generation) {
  connection.execute(
      "INSERT INTO template_hosts (template_id, host_id, generation) VALUES ($1, $2, $3) "
      "ON CONFLICT (template_id, host_id) DO UPDATE SET generation = excluded.generation",
      {id.text(), host.text(), generation});
}

bool finish_snapshot(db::Connection& connection, const Template& row, const model::HostId& host,
                     const std::string& generation) {
  const auto changed = connection.execute(
      "UPDATE templates SET vcpus = $2, memory_mb = $3, size_bytes = $4, metadata = $5, created_at = $6, "
      "default_user = $7, making_until = NULL WHERE id = $1",
      {row.id.text(), row.vcpus, row.memory_mb, row.size_bytes, row.metadata, row.created_at.us,
       row.default_user});
  if (changed == 0) return false;
  connection.execute("DELETE FROM template_hosts WHERE template_id = $1", {row.id.text()});
  set_place(connection, row.id, host, generation);
  return true;
}

bool is_being_made(db::Connection& connection, const model::TemplateId& id) {
  return exists(connection, "SELECT 1 FROM templates WHERE id = $1 AND making_until IS NOT NULL",
                {id.text()});
}

void forget_template(db::Connection& connection, const Template& row, UnixTime at) {
  connection.execute(
      "INSERT INTO deleted_templates (id, team_id, deleted_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
      {row.id.text(), row.team.text(), at.us});
  connection.execute("DELETE FROM template_hosts WHERE template_id = $1", {row.id.text()});
  connection.execute("DELETE FROM templates WHERE id = $1", {row.id.text()});
}

bool may_adopt(const Unknown& unknown, const Template& told) noexcept {
  const bool reserved = told.id <= model::TemplateId::from_number(model::kReservedTemplateIds);
  return !unknown.deleted && !unknown.name_taken && unknown.team_exists && unknown.host_serves && !reserved &&
         told.team != model::kPlatformTeam && told.vcpus > 0 && told.memory_mb > 0;
}

// --- what hosts have
// -----------------------------------------------------------------------------------------

static Unknown look_at(db::Connection& connection, const model::HostId& host, const Template& told) {
  Unknown unknown;
  unknown.deleted = exists(connection, "SELECT 1 FROM deleted_templates WHERE id = $1", {told.id.text()});
  unknown.name_taken = exists(connection, "SELECT 1 FROM templates WHERE team_id = $1 AND name = $2",
                              {told.team.text(), told.name});
  unknown.team_exists =
      exists(connection, "SELECT 1 FROM teams WHERE id = $1 AND deleted_at IS NULL", {told.team.text()});
  unknown.host_serves =
      exists(connection, "SELECT 1 FROM hosts WHERE id = $1 AND (team_id IS NULL OR team_id = $2)",
             {host.text(), told.team.text()});
  return unknown;
}

static void follow_base(db::Connection& connection, const model::HostId& host, const HostedTemplate& told,
                        Followed& followed) {
  const auto& row = told.row;
  // A snapshot of the platform keeps its name, whatever images are installed later.
  if (exists(connection, "SELECT 1 FROM templates WHERE team_id = $1 AND name = $2 AND type = 'snapshot'",
             {row.team.text(), row.name})) {
    followed.refused.push_back(told);
    return;
  }
  // A template that was rebuilt under another id keeps its name: the old row goes first.
  connection.execute("DELETE FROM templates WHERE team_id = $1 AND name = $2 AND id <> $3",
                     {row.team.text(), row.name, row.id.text()});
  connection.execute(
      "INSERT INTO templates (id, team_id, name, type, size_bytes, default_user, created_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET team_id = excluded.team_id, "
      "name = excluded.name, size_bytes = excluded.size_bytes, default_user = excluded.default_user",
      {row.id.text(), row.team.text(), row.name, row.type, row.size_bytes, row.default_user,
       row.created_at.us});
  set_place(connection, row.id, host, told.generation);
}

static void follow_snapshot(db::Connection& connection, const model::HostId& host, const HostedTemplate& told,
                            UnixTime asked, Followed& followed) {
  static const std::string kFind = fmt::format("SELECT {} FROM templates WHERE id = $1", kColumns);
  const auto known = query_templates(connection, kFind, {told.row.id.text()});
  if (known.empty()) {
    const auto unknown = look_at(connection, host, told.row);
    if (unknown.deleted) {
      followed.deleted.push_back(told);
    } else if (may_adopt(unknown, told.row)) {
      begin_snapshot(connection, told.row);
      set_place(connection, told.row.id, host, told.generation);
      followed.adopted.push_back(told);
    } else {
      followed.refused.push_back(told);
    }
    return;
  }
  const auto& row = known.front();
  if (row.type != kSnapshot || row.team != told.row.team) {
    followed.refused.push_back(told);
    return;
  }
  if (row.created_at >= asked) return;
  connection.execute(
      "UPDATE templates SET vcpus = $2, memory_mb = $3, size_bytes = $4, default_user = $5, "
      "making_until = NULL WHERE id = $1",
      {row.id.text(), told.row.vcpus, told.row.memory_mb, told.row.size_bytes, told.row.default_user});
  set_place(connection, row.id, host, told.generation);
  if (row.making_until) followed.made.push_back(row);
}

Followed follow_host_templates(db::Connection& connection, const model::HostId& host,
                               const std::vector<HostedTemplate>& told, UnixTime asked, UnixTime at) {
  Followed followed;
  connection.execute(
      "DELETE FROM template_hosts WHERE host_id = $1 AND template_id NOT IN "
      "(SELECT id FROM templates WHERE type = 'snapshot' AND created_at >= $2)",
      {host.text(), asked.us});
  for (const auto& one : told) {
    if (one.row.type == kSnapshot) {
      follow_snapshot(connection, host, one, asked, followed);
    } else {
      follow_base(connection, host, one, followed);
    }
  }
  connection.execute(
      "DELETE FROM templates WHERE team_id = $1 AND type = 'base' "
      "AND NOT EXISTS (SELECT 1 FROM template_hosts h WHERE h.template_id = templates.id)",
      {model::kPlatformTeam.text()});
  // Begun, never finished, and nobody is at it any more.
  static const std::string kAbandoned = fmt::format(
      "SELECT {} FROM templates t WHERE making_until < $1 "
      "AND NOT EXISTS (SELECT 1 FROM template_hosts h WHERE h.template_id = t.id)",
      kColumns);
  connection.query(kAbandoned, {at.us},
                   [&](const db::Row& row) { followed.abandoned.push_back(read_template(row)); });
  for (const auto& row : followed.abandoned) forget_template(connection, row, at);
  return followed;
}

}  // namespace wrenn::cp::store
