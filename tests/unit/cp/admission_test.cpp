#include "cp/service/admission.h"

#include <catch2/catch.hpp>
#include <limits>

#include "api/errors.h"
#include "core/base/error.h"
#include "cp/errors.h"
#include "cp/limits.h"
#include "cp/service/failures.h"

using namespace wrenn;
using namespace wrenn::cp;
using namespace std::chrono_literals;

namespace {

constexpr service::Bounds kBounds{4, 8192};

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    return error.what();
  }
  return "";
}

service::CreateInput admit(std::string_view json) {
  return service::admit_create(json::from_json<api::CreateCapsule>(json), kBounds);
}
std::string refused(std::string_view json) {
  return refusal([&] { admit(json); });
}

}  // namespace

TEST_CASE("create: defaults") {
  for (const auto* json : {"{}", R"({"vcpus":0,"memory_mb":-5})", R"({"template":"","unknown":{"x":[1]}})",
                           R"({"template":null,"vcpus":null})"}) {
    const auto input = admit(json);
    CHECK(input.template_name.empty());
    CHECK(input.vcpus == 1);
    CHECK(input.memory_mb == 512);
    CHECK(input.timeout_sec == 0);
  }
  const auto input = admit(R"({"template":"minimal-debian","vcpus":4,"memory_mb":8192,"timeout_sec":60})");
  CHECK(input.template_name == "minimal-debian");
  CHECK(input.vcpus == 4);
  CHECK(input.memory_mb == 8192);
  CHECK(input.timeout_sec == 60);
}

TEST_CASE("create: each bound is told") {
  CHECK(refused(R"({"vcpus":5})") == "vcpus: at most 4, not 5");
  CHECK(refused(R"({"memory_mb":8193})") == "memory_mb: from 128 to 8192, not 8193");
  CHECK(refused(R"({"memory_mb":127})") == "memory_mb: from 128 to 8192, not 127");
  CHECK(refused(R"({"timeout_sec":-1})").starts_with("timeout_sec: from 0"));
  CHECK(refused(R"({"timeout_sec":99999999999})").starts_with("timeout_sec: from 0"));
  for (const auto* name : {"../etc", "-x", ".hidden", "a b", "a/b", "ü", "a\\n"})
    CHECK(refused(fmt::format(R"({{"template":"{}"}})", name)).starts_with("template:"));
  CHECK(refused(R"({"template":")" + std::string(65, 'a') + "\"}").starts_with("template:"));
  CHECK(admit(R"({"template":")" + std::string(64, 'a') + "\"}").template_name.size() == 64);
}

TEST_CASE("create: wrong types name their field") {
  CHECK(refused(R"({"vcpus":"two"})").find("vcpus") != std::string::npos);
  CHECK(refused(R"({"vcpus":1.5})").find("vcpus") != std::string::npos);
  CHECK(refused(R"({"vcpus":99999999999})").find("vcpus") != std::string::npos);
  CHECK(refused(R"({"template":7})").find("template") != std::string::npos);
  CHECK(refused(R"([])") != "");
  CHECK(refused(R"({"vcpus":)") != "");
}

TEST_CASE("create: how it is booted") {
  CHECK(admit("{}").boot.empty());
  CHECK(admit(R"({"boot":""})").boot.empty());
  CHECK(admit(R"({"boot":"auto"})").boot.empty());
  CHECK(admit(R"({"boot":"cold"})").boot == "cold");
  for (const auto* boot : {"warm", "Cold", "cold ", "AUTO"})
    CHECK(refused(fmt::format(R"({{"boot":"{}"}})", boot)) == "boot: must be auto or cold");
}

TEST_CASE("forks") {
  const auto fork = [](std::string_view json) {
    return service::admit_fork(json::from_json<api::ForkCapsule>(json));
  };
  const auto wrong = [&](std::string_view json) { return refusal([&] { fork(json); }); };
  CHECK(fork("{}").count == 1);
  CHECK_FALSE(fork("{}").timeout_sec.has_value());
  const auto input = fork(R"({"count":100,"timeout_sec":0,"metadata":{"a":"b","c":""}})");
  CHECK(input.count == 100);
  CHECK(input.timeout_sec == 0);
  CHECK(input.metadata == std::map<std::string, std::string>{{"a", "b"}, {"c", ""}});
  for (const auto* count : {"0", "-1", "101", "4294967297"})
    CHECK(wrong(fmt::format(R"({{"count":{}}})", count)).starts_with("count: from 1 to 100"));
  CHECK(wrong(R"({"timeout_sec":-1})").starts_with("timeout_sec: from 0"));
  for (const auto* name : {"reason", "agent_version", "kernel_version", "_version"})
    CHECK(wrong(fmt::format(R"({{"metadata":{{"{}":"x"}}}})", name)).starts_with("metadata: "));
  const auto value_of = [](std::size_t size) {
    return R"({"metadata":{"a":")" + std::string(size, 'x') + "\"}}";
  };
  CHECK(wrong(value_of(cp::limits::kMetadataValueBytes)) == "");
  CHECK(wrong(value_of(cp::limits::kMetadataValueBytes + 1)).starts_with("metadata.a: at most"));
  api::ForkCapsule many;
  for (std::size_t i = 0; i < cp::limits::kMetadataEntries; ++i) many.metadata[std::to_string(i)] = "";
  CHECK(refusal([&] { service::admit_fork(many); }) == "");
  many.metadata["one more"] = "";
  CHECK(refusal([&] { service::admit_fork(many); }).starts_with("metadata: at most"));
  many.metadata = {{std::string(cp::limits::kMetadataNameBytes + 1, 'n'), ""}};
  CHECK(refusal([&] { service::admit_fork(many); }).starts_with("metadata: a name has"));
  many.metadata = {{"a", std::string(1, '\0')}};
  CHECK(refusal([&] { service::admit_fork(many); }).find("NUL") != std::string::npos);
}

TEST_CASE("names of checkpoints are not ids") {
  CHECK(service::admit_checkpoint_name("").empty());
  for (const auto* name : {"a", "before-the-upgrade", "v1.0_x", "cp-1", "0"})
    CHECK(service::admit_checkpoint_name(name) == name);
  for (const std::string name : {"../x", "-a", "a b", "a/b", "\n"})
    CHECK(refusal([&] { service::admit_checkpoint_name(name); }).starts_with("name:"));
  const auto id = model::CheckpointId::random().text();
  CHECK(refusal([&] { service::admit_checkpoint_name(id); }).find("looks like the id") != std::string::npos);
}

TEST_CASE("snapshots") {
  const auto id = model::SandboxId::random();
  const auto admit_named = [&](std::string name, std::string_view overwrite) {
    return service::admit_snapshot({id.text(), std::move(name)}, overwrite);
  };
  CHECK(admit_named("mine", "").sandbox == id);
  CHECK(admit_named("mine", "").name == "mine");
  CHECK_FALSE(admit_named("mine", "").overwrite);
  CHECK_FALSE(admit_named("mine", "false").overwrite);
  CHECK(admit_named("mine", "true").overwrite);
  const auto made_up = admit_named("", "").name;
  CHECK(made_up.size() == std::string("template-12345678").size());
  CHECK(made_up.starts_with("template-"));
  CHECK(made_up != admit_named("", "").name);
  for (const auto* overwrite : {"1", "yes", "True", "true "})
    CHECK(refusal([&] { admit_named("mine", overwrite); }).starts_with("overwrite:"));
  CHECK(refusal([&] { admit_named("../x", ""); }).starts_with("name:"));
  CHECK(refusal([] { service::admit_snapshot({"", "x"}, ""); }) == "sandbox_id is required");
  for (const auto* wrong : {"cl-1", "x", "team-0000000000000000000000000"})
    CHECK(refusal([&] { service::admit_snapshot({wrong, "x"}, ""); }).starts_with("sandbox_id:"));
}

TEST_CASE("paths in the guest") {
  CHECK(refusal([] { service::admit_guest_path(""); }) == "path is required");
  CHECK(refusal([] { service::admit_guest_path(std::string_view("/a\0b", 4)); }) != "");
  CHECK(refusal([] { service::admit_guest_path(std::string(cp::limits::kGuestPathBytes + 1, 'a')); }) != "");
  CHECK(refusal([] { service::admit_guest_path(std::string(cp::limits::kGuestPathBytes, 'a')); }) == "");
  // Where a path leads is the guest's own business: it holds nobody else's files.
  CHECK(refusal([] { service::admit_guest_path("../../etc/passwd"); }) == "");
}

TEST_CASE("processes") {
  const std::string nul("a\0b", 3);
  CHECK(refusal([] { service::admit_process("", {}, {}, ""); }) == "cmd is required");
  CHECK(refusal([&] { service::admit_process(nul, {}, {}, ""); }) != "");
  CHECK(refusal([&] { service::admit_process("ls", {"-l", nul}, {}, ""); }) != "");
  CHECK(refusal([&] { service::admit_process("ls", {}, {}, nul); }) != "");
  CHECK(refusal([&] { service::admit_process("ls", {}, {{"A", nul}}, ""); }) != "");
  CHECK(refusal([&] { service::admit_process("ls", {}, {{"A=B", "c"}}, ""); }) != "");
  CHECK(refusal([&] { service::admit_process("ls", {}, {{"", "c"}}, ""); }) != "");
  CHECK(refusal([&] { service::admit_process("ls", {""}, {{"A", "x=y\n"}}, "/tmp"); }) == "");
}

TEST_CASE("selectors: digits are a pid, the rest a tag") {
  CHECK(service::parse_selector("42").pid == 42u);
  CHECK_FALSE(service::parse_selector("42").tag.has_value());
  CHECK(service::parse_selector("4294967295").pid == 4294967295u);
  for (const auto* tag : {"proc-1a2b", "42a", "-1", " 42", "+1", "0x10"}) {
    CHECK(service::parse_selector(tag).tag == tag);
    CHECK_FALSE(service::parse_selector(tag).pid.has_value());
  }
  CHECK(refusal([] { service::parse_selector("4294967296"); }) != "");
  CHECK(refusal([] { service::parse_selector("99999999999999999999999999"); }) != "");
  CHECK(refusal([] { service::parse_selector(""); }) != "");
}

TEST_CASE("Prefer: wait") {
  CHECK(service::parse_prefer_wait("wait=10") == 10s);
  CHECK(service::parse_prefer_wait("respond-async, WAIT = 7 ; x=y") == 7s);
  CHECK(service::parse_prefer_wait("wait=\"3\"") == 3s);
  CHECK(service::parse_prefer_wait("wait=0") == 0s);
  CHECK(service::parse_prefer_wait("wait=999999") == cp::limits::kPreferWaitMax);
  for (const auto* text : {"", "wait", "wait=", "wait=-1", "wait=ten", "wait=1.5", "await=5", ",,,", "=",
                           "wait=99999999999999999999"})
    CHECK_FALSE(service::parse_prefer_wait(text).has_value());
}

TEST_CASE("signals and ranges") {
  CHECK(service::parse_signal("SIGTERM") == 15);
  CHECK(service::parse_signal("SIGKILL") == 9);
  CHECK(service::parse_signal("SIGINT") == 2);
  CHECK_FALSE(service::parse_signal("TERM").has_value());
  CHECK_FALSE(service::parse_signal("").has_value());
  for (const auto* range : {"5m", "10m", "1h", "2h", "6h", "12h", "24h"})
    CHECK(service::is_metrics_range(range));
  for (const auto* range : {"", "7m", "10M", "1d", "10m "}) CHECK_FALSE(service::is_metrics_range(range));
}

// --- failures
// -------------------------------------------------------------------------------------------------------

namespace {

cp::Failure told(void (*translate)(std::exception_ptr), ErrorCode code) {
  try {
    translate(std::make_exception_ptr(Error(code, "what the agent said")));
  } catch (...) {
    return failure_of(std::current_exception());
  }
  return {};
}

}  // namespace

TEST_CASE("an agent's failure has the status and code of the specification") {
  struct Row {
    ErrorCode code;
    int status;
    const char* public_code;
  };
  const Row rows[] = {{ErrorCode::not_found, 404, "not_found"},
                      {ErrorCode::invalid_argument, 400, "invalid_request"},
                      {ErrorCode::failed_precondition, 409, "conflict"},
                      {ErrorCode::already_exists, 409, "conflict"},
                      {ErrorCode::permission_denied, 403, "forbidden"},
                      {ErrorCode::unavailable, 503, "host_unavailable"},
                      {ErrorCode::unimplemented, 501, "agent_error"},
                      {ErrorCode::resource_exhausted, 507, "resource_exhausted"},
                      {ErrorCode::internal, 502, "agent_error"},
                      {ErrorCode::unknown, 502, "agent_error"},
                      {ErrorCode::deadline_exceeded, 502, "agent_error"},
                      {ErrorCode::unauthenticated, 502, "agent_error"},
                      {ErrorCode::data_loss, 502, "agent_error"}};
  for (const auto& row : rows) {
    INFO(to_string(row.code));
    const auto failure = told(service::throw_agent_failure, row.code);
    CHECK(failure.status == row.status);
    CHECK(failure.code == row.public_code);
    CHECK(failure.message.find("what the agent said") != std::string::npos);
  }
  CHECK(told(service::throw_host_failure, ErrorCode::unavailable).code == "host_unavailable");
  CHECK(told(service::throw_host_failure, ErrorCode::unavailable).message ==
        "the host does not answer: what the agent said");
  CHECK(told(service::throw_create_failure, ErrorCode::unavailable).code == "no_hosts_available");
  CHECK(told(service::throw_create_failure, ErrorCode::unavailable).status == 503);
}

TEST_CASE("what is ours and broken is not told") {
  for (const auto code :
       {ErrorCode::internal, ErrorCode::data_loss, ErrorCode::unknown}) {
    const auto failure = failure_of(std::make_exception_ptr(Error(code, "SELECT secret")));
    CHECK(failure.status == 500);
    CHECK(failure.message == "an internal error occurred");
  }
  const auto lost = failure_of(std::make_exception_ptr(Error(ErrorCode::unavailable, "SELECT secret")));
  CHECK(lost.status == 503);
  CHECK(lost.message == "the database does not answer; try again");
  CHECK(lost.retry_after_s > 0);
  const auto failure = failure_of(std::make_exception_ptr(std::runtime_error("secret")));
  CHECK(failure.status == 500);
  CHECK(failure.message == "an internal error occurred");
}

TEST_CASE("what the HTTP server refuses has an envelope too") {
  const auto response = render_error(431, nullptr, nullptr);
  CHECK(response.status == 431);
  CHECK(response.body == "{\"error\":{\"code\":\"too_large\",\"message\":\"" +
                             std::string(http::reason_phrase(431)) + "\"}}\n");
}
