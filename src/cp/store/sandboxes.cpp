#include "cp/store/sandboxes.h"

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static constexpr std::string_view kColumns =
    "id, team_id, host_id, template, template_id, template_team_id, status, status_reason, status_deadline, "
    "revision, "
    "vcpus, memory_mb, disk_size_mb, timeout_sec, guest_ip, host_ip, metadata, created_at, last_updated, "
    "started_at, "
    "last_active_at, access_token, by_type, by_id, by_name, attended_at";

// "status IN ('pending', 'starting')": those that `holds` is true of, in the order of kSandboxStates.
static std::string status_in(bool (&holds)(SandboxState) noexcept) {
  std::string list;
  for (const auto state : model::kSandboxStates)
    if (holds(state)) list += fmt::format("{}'{}'", list.empty() ? "" : ", ", to_string(state));
  return fmt::format("status IN ({})", list);
}

// Into an existing row: a list of a hundred reuses the memory of its strings.
static void read_into(Sandbox& sandbox, const db::Row& row) {
  sandbox.id = stored_id<model::SandboxId>(row.text(0));
  sandbox.team = stored_id<model::TeamId>(row.text(1));
  sandbox.host = stored_id<model::HostId>(row.text(2));
  sandbox.template_name = row.text(3);
  sandbox.template_id = stored_id<model::TemplateId>(row.text(4));
  sandbox.template_team = stored_id<model::TeamId>(row.text(5));
  const auto status = from_string(row.text(6), static_cast<SandboxState*>(nullptr));
  if (!status) throw_error(ErrorCode::data_loss, "the database holds the unknown status \"{}\"", row.text(6));
  sandbox.status = *status;
  sandbox.status_reason = row.text(7);
  sandbox.status_deadline = optional_time(row, 8);
  sandbox.revision = row.integer(9);
  sandbox.vcpus = row.integer(10);
  sandbox.memory_mb = row.integer(11);
  sandbox.disk_size_mb = row.integer(12);
  sandbox.timeout_sec = row.integer(13);
  sandbox.guest_ip = row.text(14);
  sandbox.host_ip = row.text(15);
  sandbox.metadata = row.text(16);
  sandbox.created_at = UnixTime{row.integer(17)};
  sandbox.last_updated = UnixTime{row.integer(18)};
  sandbox.started_at = optional_time(row, 19);
  sandbox.last_active_at = optional_time(row, 20);
  sandbox.access_token = row.text(21);
  sandbox.by = {stored_actor_kind(row.text(22)), std::string(row.text(23)), std::string(row.text(24))};
  sandbox.attended_at = UnixTime{row.integer(25)};
}

static std::optional<Sandbox> query_one(db::Connection& connection, std::string_view sql,
                                        const std::vector<db::Param>& params) {
  std::optional<Sandbox> sandbox;
  connection.query(sql, params, [&](const db::Row& row) { read_into(sandbox.emplace(), row); });
  return sandbox;
}

void insert_sandbox(db::Connection& connection, const Sandbox& sandbox) {
  static const std::string kInsert = fmt::format(
      "INSERT INTO sandboxes ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
      "$16, $17, "
      "$18, $19, $20, $21, $22, $23, $24, $25, $26)",
      kColumns);
  connection.execute(kInsert, {sandbox.id.text(),
                               sandbox.team.text(),
                               sandbox.host.text(),
                               sandbox.template_name,
                               sandbox.template_id.text(),
                               sandbox.template_team.text(),
                               to_string(sandbox.status),
                               sandbox.status_reason,
                               to_param(sandbox.status_deadline),
                               sandbox.revision,
                               sandbox.vcpus,
                               sandbox.memory_mb,
                               sandbox.disk_size_mb,
                               sandbox.timeout_sec,
                               sandbox.guest_ip,
                               sandbox.host_ip,
                               sandbox.metadata,
                               sandbox.created_at.us,
                               sandbox.last_updated.us,
                               to_param(sandbox.started_at),
                               to_param(sandbox.last_active_at),
                               sandbox.access_token,
                               to_string(sandbox.by.kind),
                               sandbox.by.id,
                               sandbox.by.name,
                               sandbox.attended_at.us});
}

std::optional<Sandbox> find_sandbox(db::Connection& connection, const model::SandboxId& id) {
  static const std::string kFind = fmt::format("SELECT {} FROM sandboxes WHERE id = $1", kColumns);
  return query_one(connection, kFind, {id.text()});
}

std::optional<Sandbox> find_sandbox(db::Connection& connection, const model::TeamId& team,
                                    const model::SandboxId& id) {
  static const std::string kFind =
      fmt::format("SELECT {} FROM sandboxes WHERE id = $1 AND team_id = $2", kColumns);
  return query_one(connection, kFind, {id.text(), team.text()});
}

std::vector<ListedSandbox> listed_sandboxes(db::Connection& connection, const model::TeamId& team) {
  std::vector<ListedSandbox> listed;
  connection.query(
      "SELECT id, revision, last_updated FROM sandboxes WHERE team_id = $1 AND status NOT IN ('stopped', "
      "'error') "
      "ORDER BY created_at DESC, id DESC",
      {team.text()}, [&](const db::Row& row) {
        listed.push_back(
            {stored_id<model::SandboxId>(row.text(0)), {row.integer(1), UnixTime{row.integer(2)}}});
      });
  return listed;
}

std::vector<Sandbox> live_sandboxes(db::Connection& connection, const model::HostId& host) {
  static const std::string kLive = fmt::format(
      "SELECT {} FROM sandboxes WHERE host_id = $1 AND status NOT IN ('stopped', 'error')", kColumns);
  std::vector<Sandbox> sandboxes;
  connection.query(kLive, {host.text()},
                   [&](const db::Row& row) { read_into(sandboxes.emplace_back(), row); });
  return sandboxes;
}

// $1 is the row's id, $2 … $13 are of the change; the condition begins at $14.
static const std::string& update_text() {
  static const std::string kUpdate =
      "UPDATE sandboxes SET status = $2, status_reason = $3, status_deadline = $4, host_ip = COALESCE($5, "
      "host_ip), "
      "metadata = COALESCE($6, metadata), started_at = COALESCE($7, started_at), "
      "last_active_at = COALESCE($8, last_active_at), last_updated = $9, access_token = COALESCE($10, "
      "access_token), by_type = COALESCE($11, by_type), by_id = COALESCE($12, by_id), "
      "by_name = COALESCE($13, by_name), revision = revision + 1 WHERE id = $1 AND ";
  return kUpdate;
}

static std::vector<db::Param> update_params(const model::SandboxId& id, const Change& change, UnixTime at) {
  std::optional<std::string> by_type, by_id, by_name;
  if (change.by) {
    by_type = to_string(change.by->kind);
    by_id = change.by->id;
    by_name = change.by->name;
  }
  return {id.text(),
          to_string(change.to),
          change.reason,
          to_param(change.deadline),
          change.host_ip,
          change.metadata,
          to_param(change.started_at),
          to_param(change.last_active_at),
          at.us,
          change.access_token,
          by_type,
          by_id,
          by_name};
}

std::optional<Sandbox> begin_change(db::Connection& connection, const model::SandboxId& id,
                                    const std::vector<SandboxState>& expected, const Change& change,
                                    UnixTime at) {
  std::string sql = update_text() + "status IN (";
  auto params = update_params(id, change, at);
  for (const auto state : expected) {
    params.emplace_back(to_string(state));
    sql += fmt::format("{}${}", state == expected.front() ? "" : ", ", params.size());
  }
  sql += fmt::format(") RETURNING {}", kColumns);
  return query_one(connection, sql, params);
}

std::optional<Sandbox> finish_change(db::Connection& connection, const model::SandboxId& id,
                                     std::int64_t revision, const Change& change, UnixTime at) {
  static const std::string kFinish = update_text() + fmt::format("revision = $14 RETURNING {}", kColumns);
  auto params = update_params(id, change, at);
  params.emplace_back(revision);
  return query_one(connection, kFinish, params);
}

void set_sandbox_active(db::Connection& connection, const model::SandboxId& id, UnixTime at) {
  connection.execute("UPDATE sandboxes SET last_active_at = $2, last_updated = $2 WHERE id = $1",
                     {id.text(), at.us});
}

void set_sandbox_attended(db::Connection& connection, const model::SandboxId& id, UnixTime at) {
  static const std::string kAttended = fmt::format(
      "UPDATE sandboxes SET attended_at = $2 WHERE id = $1 AND {}", status_in(model::is_transient));
  connection.execute(kAttended, {id.text(), at.us});
}

Reserved reserved_by(db::Connection& connection, const model::TeamId& team) {
  static const std::string kReserved = fmt::format(
      "SELECT COUNT(*), COALESCE(SUM(vcpus), 0), COALESCE(SUM(memory_mb), 0) FROM sandboxes "
      "WHERE team_id = $1 AND {}",
      reserved_condition());
  Reserved reserved;
  connection.query(kReserved, {team.text()}, [&](const db::Row& row) {
    reserved = {row.integer(0), row.integer(1), row.integer(2)};
  });
  return reserved;
}

bool is_reserved(SandboxState status) noexcept {
  using enum SandboxState;
  return status == pending || status == starting || status == running || status == pausing ||
         status == resuming;
}

const std::string& reserved_condition() {
  static const std::string kCondition = status_in(is_reserved);
  return kCondition;
}

std::map<SandboxState, std::int64_t> count_sandboxes(db::Connection& connection) {
  std::map<SandboxState, std::int64_t> counts;
  connection.query(
      "SELECT status, COUNT(*) FROM sandboxes WHERE status NOT IN ('stopped', 'error') GROUP BY status", {},
      [&](const db::Row& row) {
        if (const auto status = from_string(row.text(0), static_cast<SandboxState*>(nullptr)))
          counts[*status] = row.integer(1);
      });
  return counts;
}

}  // namespace wrenn::cp::store
