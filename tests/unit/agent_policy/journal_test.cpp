#include "agent/journal.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include "agent/claims.h"
#include "agent/handlers/pass_through.h"
#include "agent/sandbox/create_request.h"
#include "linux/fd.h"
#include "linux/file.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::agent;

namespace {

Record full_record() {
  Record record;
  record.sandbox_id = model::SandboxId::random().text();
  record.state = model::SandboxState::paused;
  record.reason = "ttl_expired";
  record.created_at_us = 1'800'000'000'000'001;
  record.team_id = "team-0000000000000000000000000";
  record.template_id = "0000000000000000000000004";
  record.vcpus = 2;
  record.memory_mb = 1024;
  record.timeout_sec = 60;
  record.default_env = {{"A", "1"}, {"B", "quote \" and \n newline"}};
  record.access_token = std::string(64, 'f');
  record.slot = 7;
  record.disk =
      disk::DiskRecord{disk::DiskKind::qcow2, record.sandbox_id, "/image", {"/layer"}, "/cow", 5, 6};
  vmm::MachineRecord machine;
  machine.pid = 42;
  machine.start_time = 99;
  machine.control_socket = "/s";
  machine.memory_mapping = "/m";
  record.machine = machine;
  return record;
}

}  // namespace

TEST_CASE("records come back as they were written", "[journal]") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-journal-test-");
  const Journal journal(directory.path());
  CHECK(journal.load().empty());
  const Record record = full_record();
  journal.save(record);
  Record small;
  small.sandbox_id = model::SandboxId::random().text();
  journal.save(small);
  journal.save(record);  // replaces

  auto entries = journal.load();
  REQUIRE(entries.size() == 2);
  if (entries[0].place != record.sandbox_id) std::swap(entries[0], entries[1]);
  REQUIRE(entries[0].record.has_value());
  CHECK(json::to_json(*entries[0].record) == json::to_json(record));
  REQUIRE(entries[1].record.has_value());
  CHECK_FALSE(entries[1].record->slot.has_value());
  CHECK_FALSE(entries[1].record->machine.has_value());

  // It holds a token.
  struct stat info{};
  REQUIRE(stat((journal.sandbox_directory(record.sandbox_id) + "/sandbox.json").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);

  (void)sys::create_sparse_file(journal.sandbox_directory(record.sandbox_id) + "/disk.cow", 4096);
  journal.remove(record.sandbox_id);
  journal.remove(record.sandbox_id);
  CHECK(journal.load().size() == 1);
  CHECK_FALSE(sys::exists(journal.sandbox_directory(record.sandbox_id)));
}

TEST_CASE("torn, foreign and future records are told, not used", "[journal]") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-journal-test-");
  const Journal journal(directory.path());
  const Record record = full_record();
  journal.save(record);
  const std::string path = journal.sandbox_directory(record.sandbox_id) + "/sandbox.json";
  const std::string text = sys::read_file(path, 100'000);

  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, text.size() / 2, text.size() - 3}) {
    sys::write_file_atomic(path, text.substr(0, length), 0600);
    const auto entries = journal.load();
    REQUIRE(entries.size() == 1);
    INFO(length);
    CHECK_FALSE(entries[0].record.has_value());
    CHECK(entries[0].damage.find(path) != std::string::npos);
  }
  std::string future = text;
  future.replace(future.find("\"format\":1"), 10, "\"format\":9");
  sys::write_file_atomic(path, future, 0600);
  CHECK(journal.load().at(0).damage.find("format 9") != std::string::npos);

  Record other = record;
  other.sandbox_id = model::SandboxId::random().text();
  sys::write_file_atomic(path, json::to_json(other), 0600);
  CHECK(journal.load().at(0).damage.find("another sandbox") != std::string::npos);

  sys::remove_tree(path);
  CHECK_FALSE(journal.load().at(0).record.has_value());
  CHECK(journal.load().at(0).damage.empty());

  sys::make_directories(directory.path() + "/lost+found");
  CHECK(journal.load().size() == 1);
}

TEST_CASE("a claim has one owner, until the owner's directory is gone", "[claims]") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-claims-test-");
  const std::string store = directory.path() + "/claims", a = directory.path() + "/a",
                    b = directory.path() + "/b";
  sys::make_directories(a);
  sys::make_directories(b);
  Claims first(a, store), second(b, store);
  CHECK(first.take("slot-1") == Claims::Taken::now);
  CHECK(first.take("slot-1") == Claims::Taken::before);
  CHECK(second.take("slot-1") == Claims::Taken::foreign);
  CHECK(second.list().empty());
  second.give_back("slot-1");  // not its to give
  CHECK(first.list() == std::vector<std::string>{"slot-1"});
  first.give_back("slot-1");
  first.give_back("slot-1");
  CHECK(second.take("slot-1") == Claims::Taken::now);

  CHECK(first.take("slot-2") == Claims::Taken::now);
  sys::remove_tree(a);
  auto names = second.list();
  CHECK(names.size() == 2);
  second.give_back("slot-2");
  CHECK(second.list() == std::vector<std::string>{"slot-1"});
}

TEST_CASE("create requests are checked before anything is made", "[create]") {
  api::agent::CreateSandboxRequest good;
  good.sandbox_id = model::SandboxId::random().text();
  good.template_id = model::TemplateId::from_number(4).text();
  CHECK(sandbox::plan_create(good).template_team == model::kPlatformTeam);

  auto request = good;
  request.vcpus = 0;
  request.memory_mb = -1;
  request.disk_size_mb = 0;
  CHECK(sandbox::plan_create(request).record.memory_mb == 512);
  CHECK(sandbox::plan_create(request).record.vcpus == 1);
  CHECK(sandbox::plan_create(request).record.disk_size_mb == 5120);

  using Change = void (*)(api::agent::CreateSandboxRequest&);
  for (const Change change : std::initializer_list<Change>{
           [](auto& r) { r.sandbox_id = "../../etc"; }, [](auto& r) { r.sandbox_id = ""; },
           [](auto& r) { r.template_id = "minimal"; }, [](auto& r) { r.template_team_id = "x"; },
           [](auto& r) { r.team_id = "/"; }, [](auto& r) { r.vcpus = 100'000; },
           [](auto& r) { r.memory_mb = 1; }, [](auto& r) { r.timeout_sec = -1; }}) {
    auto bad = good;
    change(bad);
    try {
      sandbox::plan_create(bad);
      FAIL("was accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
    }
  }
}

TEST_CASE("what goes to the guest is what stands behind /envd, undecoded", "[pass_through]") {
  CHECK(guest_target("/sandboxes/cl-1/envd/files?path=%2Fa%20b") == "/files?path=%2Fa%20b");
  CHECK(guest_target("/sandboxes/cl-1/envd/process.Process/Start") == "/process.Process/Start");
  CHECK(guest_target("/sandboxes/cl-1/envd/a/../envd/x") == "/a/../envd/x");
  CHECK(guest_target("/sandboxes/cl-1/envd") == "/");
  CHECK(guest_target("/sandboxes/cl-1/envd?x=1") == "/?x=1");
  CHECK(guest_target("/sandboxes") == "/");
}
