#include "cp/handlers/views.h"

#include <catch2/catch.hpp>

using namespace wrenn;
using namespace wrenn::cp;
using namespace wrenn::cp::handlers;
using enum model::SandboxState;

namespace {

store::Sandbox some_row() {
  store::Sandbox row;
  row.template_name = "minimal";
  row.status = running;
  row.vcpus = 1;
  row.memory_mb = 512;
  row.created_at = UnixTime{1'700'000'000'000'000};
  row.last_updated = row.created_at;
  return row;
}

}  // namespace

TEST_CASE("a capsule: what is always there, what only sometimes") {
  auto row = some_row();
  CHECK(
      json::to_json(capsule_view(row)) ==
      R"({"id":"cl-0000000000000000000000000","status":"running","template":"minimal","vcpus":1,"memory_mb":512,)"
      R"("timeout_sec":0,"created_at":"2023-11-14T22:13:20Z","last_updated":"2023-11-14T22:13:20Z"})");
  row.host_ip = "10.11.0.2";
  row.metadata = R"({"kernel_version":"6.1"})";
  row.started_at = row.last_active_at = row.created_at;
  CHECK(
      json::to_json(capsule_view(row)) ==
      R"({"id":"cl-0000000000000000000000000","status":"running","template":"minimal","vcpus":1,"memory_mb":512,)"
      R"("timeout_sec":0,"host_ip":"10.11.0.2","created_at":"2023-11-14T22:13:20Z",)"
      R"("started_at":"2023-11-14T22:13:20Z","last_active_at":"2023-11-14T22:13:20Z",)"
      R"("last_updated":"2023-11-14T22:13:20Z","metadata":{"kernel_version":"6.1"}})");
}

TEST_CASE("a running capsule has a reason only when it stands still") {
  auto row = some_row();
  row.status_reason = "restored";
  CHECK(capsule_view(row).metadata.text == "{}");
  row.status_reason = "host_disk_full: …";
  CHECK(capsule_view(row).metadata.text == R"({"reason":"host_disk_full: …"})");
}

TEST_CASE("a host: what is always there, what only sometimes") {
  store::ListedHost listed;
  auto& row = listed.host;
  row.type = "regular";
  row.status = "pending";
  row.created_at = row.updated_at = UnixTime{1'700'000'000'000'000};
  CHECK(json::to_json(host_view(listed, true)) ==
        R"({"id":"host-0000000000000000000000000","type":"regular","status":"pending","created_by":"",)"
        R"("created_at":"2023-11-14T22:13:20Z","updated_at":"2023-11-14T22:13:20Z"})");
  row.type = "byoc";
  row.team = model::TeamId{};
  listed.team_name = "Team";
  row.provider = "p";
  row.availability_zone = "z";
  row.arch = "amd64";
  row.cpu_cores = 4;
  row.memory_mb = 8;
  row.disk_gb = 9;
  row.address = "10.0.0.1:50051";
  row.created_by = "usr-0000000000000000000000000";
  row.last_heartbeat_at = row.created_at;
  CHECK(json::to_json(host_view(listed, true)) ==
        R"({"id":"host-0000000000000000000000000","type":"byoc","team_id":"team-0000000000000000000000000",)"
        R"("team_name":"Team","provider":"p","availability_zone":"z","arch":"amd64","cpu_cores":4,"memory_mb":8,)"
        R"("disk_gb":9,"address":"10.0.0.1:50051","status":"pending","last_heartbeat_at":"2023-11-14T22:13:20Z",)"
        R"("created_by":"usr-0000000000000000000000000","created_at":"2023-11-14T22:13:20Z",)"
        R"("updated_at":"2023-11-14T22:13:20Z"})");
  CHECK(json::to_json(host_view(listed, false)).find("team_name") == std::string::npos);
}

TEST_CASE("a view that is used again holds nothing of its last row") {
  auto full = some_row();
  full.host_ip = "10.11.0.2";
  full.started_at = full.last_active_at = full.created_at;
  full.metadata = R"({"a":"b"})";
  api::Capsule view;
  fill(view, full);
  fill(view, some_row());
  CHECK(json::to_json(view) == json::to_json(capsule_view(some_row())));
}

TEST_CASE("clients of a fixed enum see only what it has") {
  const std::pair<model::SandboxState, const char*> rows[] = {
      {pending, "pending"}, {starting, "starting"}, {running, "running"},  {pausing, "running"},
      {paused, "paused"},   {resuming, "starting"}, {stopping, "running"}, {stopped, "stopped"},
      {missing, "missing"}, {error, "error"}};
  for (const auto& [status, shown] : rows) {
    auto row = some_row();
    row.status = status;
    CHECK(capsule_view(row).status == shown);
  }
}

TEST_CASE("why a capsule does not run stands in its metadata") {
  auto row = some_row();
  row.status = error;
  row.status_reason = "boot: \"panic\"";
  CHECK(capsule_view(row).metadata.text == R"({"reason":"boot: \"panic\""})");
  row.metadata = R"({"a":"b"})";
  CHECK(capsule_view(row).metadata.text == R"({"a":"b","reason":"boot: \"panic\""})");
  row.status = running;
  CHECK(capsule_view(row).metadata.text == R"({"a":"b"})");
}

TEST_CASE("files: special ones are files") {
  const std::pair<const char*, const char*> rows[] = {
      {"FILE_TYPE_FILE", "file"},        {"FILE_TYPE_DIRECTORY", "directory"},
      {"FILE_TYPE_SYMLINK", "symlink"},  {"FILE_TYPE_UNSPECIFIED", "file"},
      {"FILE_TYPE_OF_TOMORROW", "file"}, {"", "file"}};
  for (const auto& [told, shown] : rows) {
    api::envd::EntryInfo entry;
    entry.type = told;
    CHECK(file_view(entry).type == shown);
  }
  api::envd::EntryInfo entry;
  entry.name = "x";
  entry.size.value = 5'000'000'000;
  entry.mode = 0644;
  entry.modified_time = "2023-11-14T22:13:20.5Z";
  CHECK(file_view(entry).size == 5'000'000'000);
  CHECK(file_view(entry).modified_at == 1'700'000'000);
  entry.modified_time = "nonsense";
  CHECK(file_view(entry).modified_at == 0);
}

TEST_CASE("templates: the size of a machine only where it is fixed") {
  store::Template row;
  row.name = "minimal-debian";
  row.type = "base";
  row.size_bytes = 7;
  row.created_at = UnixTime{0};
  CHECK(
      json::to_json(template_view(row)) ==
      R"({"name":"minimal-debian","type":"base","size_bytes":7,"created_at":"1970-01-01T00:00:00Z","platform":true})");
  row.team = model::TeamId::random();
  row.type = "snapshot";
  row.vcpus = 2;
  row.memory_mb = 1024;
  CHECK(json::to_json(template_view(row)).find(R"("vcpus":2,"memory_mb":1024)") != std::string::npos);
  CHECK(json::to_json(template_view(row)).find(R"("platform":false)") != std::string::npos);
}
