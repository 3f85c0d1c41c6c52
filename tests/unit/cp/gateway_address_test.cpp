// Names of guests' ports: what is one, what is the API's, what is nobody's.
#include "cp/gateway/address.h"

#include <catch2/catch.hpp>

#include "api/gateway.h"
#include "cp/gateway/forwarded.h"

using namespace wrenn;
using namespace wrenn::cp::gateway;
using Kind = Destination::Kind;

namespace {

const std::string kDigits = "0123456789abcdefghijklmno";
const std::string kId = "cl-" + kDigits;

http::Request request_to(std::string host, http::Headers more = {}) {
  http::Request request;
  if (!host.empty()) request.headers.add("Host", host);
  for (const auto& [name, value] : more.fields()) request.headers.add(name, value);
  return request;
}

struct Row {
  std::string host;
  Kind kind;
  int port = 0;
  std::string id;     // as it is told back
  bool known = true;  // it can be one of ours
};

const std::vector<std::string> kDomains = {"localhost", "sbx.example.com"};

}  // namespace

TEST_CASE("hosts: of a guest, of the API, of nobody", "[gateway]") {
  const Row rows[] = {
      // of a guest
      {"8080-" + kId + ".localhost", Kind::guest, 8080, kId},
      {"8080-" + kId + ".localhost:8000", Kind::guest, 8080, kId},
      {"8080-" + kId + ".localhost.", Kind::guest, 8080, kId},
      {"8080-" + kId + ".LocalHost:8000", Kind::guest, 8080, kId},
      {"8080-CL-0123456789ABCDEFGHIJKLMNO.localhost", Kind::guest, 8080, kId},
      {"1-" + kId + ".sbx.example.com", Kind::guest, 1, kId},
      {"65535-" + kId + ".sbx.example.com:443", Kind::guest, 65535, kId},
      {"49983-" + kDigits + ".sbx.example.com", Kind::guest, 49983, kDigits},
      {"80-" + kDigits + "-6532622b.sbx.example.com", Kind::guest, 80, kDigits},
      {"80-" + kId + "-6532622b.sbx.example.com", Kind::guest, 80, kId},
      {"80-iabc123.sbx.example.com", Kind::guest, 80, "iabc123", false},
      {"80-cl-zzzzzzzzzzzzzzzzzzzzzzzzz.localhost", Kind::guest, 80, "cl-zzzzzzzzzzzzzzzzzzzzzzzzz", false},
      // of the API
      {"", Kind::api},
      {"localhost", Kind::api},
      {"localhost:8000", Kind::api},
      {"127.0.0.1:8000", Kind::api},
      {"[::1]:8000", Kind::api},
      {"api.sbx.example.com", Kind::api},
      {"sbx.example.com", Kind::api},
      {"wrenn.internal:8000", Kind::api},
      {"10-0-0-5.example.net", Kind::api},
      {"8080-" + kId, Kind::api},  // no domain behind it
      {"a.8080-" + kId + ".localhost", Kind::api},
      {"x8080-" + kId + ".localhost", Kind::api},
      {"0x1f90-" + kId + ".localhost", Kind::api},
      {"-8080-" + kId + ".localhost", Kind::api},
      {"+8080-" + kId + ".localhost", Kind::api},
      {"%38080-" + kId + ".localhost", Kind::api},
      // of nobody
      {"0-" + kId + ".localhost", Kind::refused},
      {"080-" + kId + ".localhost", Kind::refused},
      {"65536-" + kId + ".localhost", Kind::refused},
      {"99999999999999999999-" + kId + ".localhost", Kind::refused},
      {"8080-.localhost", Kind::refused},
      {"8080-cl-.localhost", Kind::refused},
      {"8080-a_b.localhost", Kind::refused},
      {"8080-a%61.localhost", Kind::refused},
      {"8080-" + std::string(80, 'a') + ".localhost", Kind::refused},
      {"8080-" + kId + ".example.net", Kind::refused},  // a domain that is not ours
      {"8080-" + kId + ".localhost.example.net", Kind::refused},
      {"8080-" + kId + ".deep.sbx.example.com", Kind::refused},
      {"8080-" + kId + ".localhost..", Kind::refused},
  };
  for (const auto& row : rows) {
    INFO(row.host);
    const auto destination = destination_of(request_to(row.host), kDomains);
    CHECK(static_cast<int>(destination.kind) == static_cast<int>(row.kind));
    if (row.kind != Kind::guest) continue;
    CHECK(destination.port == row.port);
    CHECK(destination.sandbox_id == row.id);
    CHECK(destination.id.has_value() == row.known);
    if (row.known) CHECK(destination.id->text() == kId);
  }
}

TEST_CASE("headers count where the host cannot tell, and only there", "[gateway]") {
  const http::Headers both{{"E2b-Sandbox-Id", kDigits}, {"e2b-sandbox-port", "49983"}};
  for (const char* host : {"localhost:3002", "127.0.0.1", "[::1]:80", "sandbox.example.net", ""}) {
    INFO(host);
    const auto destination = destination_of(request_to(host, both), kDomains);
    REQUIRE(destination.kind == Kind::guest);
    CHECK(destination.port == 49983);
    CHECK(destination.id->text() == kId);
  }
  for (const char* host : {"api.example.com", "sbx.example.com", "127.0.0.1.example.com"}) {
    INFO(host);
    CHECK(destination_of(request_to(host, both), kDomains).kind == Kind::api);
  }
  // The name wins.
  const auto named = destination_of(request_to("8080-" + kId + ".localhost", both), kDomains);
  CHECK(named.port == 8080);

  const http::Headers wrong[] = {
      {{"E2b-Sandbox-Id", kDigits}},
      {{"E2b-Sandbox-Port", "80"}},
      {{"E2b-Sandbox-Id", kDigits}, {"E2b-Sandbox-Port", "0"}},
      {{"E2b-Sandbox-Id", kDigits}, {"E2b-Sandbox-Port", "+80"}},
      {{"E2b-Sandbox-Id", kDigits}, {"E2b-Sandbox-Port", ""}},
      {{"E2b-Sandbox-Id", ""}, {"E2b-Sandbox-Port", "80"}},
      {{"E2b-Sandbox-Id", "../x"}, {"E2b-Sandbox-Port", "80"}},
      {{"E2b-Sandbox-Id", kDigits}, {"E2b-Sandbox-Id", kDigits}, {"E2b-Sandbox-Port", "80"}},
      {{"E2b-Sandbox-Id", kDigits}, {"E2b-Sandbox-Port", "80"}, {"E2b-Sandbox-Port", "81"}},
  };
  for (const auto& headers : wrong) {
    const auto destination = destination_of(request_to("localhost", headers), kDomains);
    CHECK(destination.kind == Kind::refused);
    CHECK(!destination.refusal.empty());
  }
}

TEST_CASE("domains as an operator writes them", "[gateway]") {
  CHECK(usable_domain("Sbx.Example.com") == "sbx.example.com");
  CHECK(usable_domain("sbx.localhost:8443") == "sbx.localhost");
  for (const char* wrong :
       {"", ".", "a..b", "-a.b", "a_b.c", "*.example.com", "10.0.0.1", "a b", "a:0", "a:", ":80"}) {
    INFO(wrong);
    CHECK(!usable_domain(wrong));
  }
  CHECK(public_domain({"localhost"}, 8000) == "localhost:8000");
  CHECK(public_domain({"localhost"}, 80) == "localhost");
  CHECK(public_domain({"sbx.localhost:8443", "localhost"}, 8000) == "sbx.localhost:8443");
  CHECK(public_domain({"sbx.example.com"}, 8000) == "sbx.example.com");
  CHECK(public_domain({}, 8000).empty());
}

TEST_CASE("targets go to the agent and come back as they were", "[gateway]") {
  for (const char* target : {"/", "/a/b?c=d/e", "//double//", "/a%2Fb?%20", "/?x", "/proxy/cl-0/1/"}) {
    const auto there = api::gateway::agent_target(kId, 8080, target);
    CHECK(there == "/proxy/" + kId + "/8080" + target);
    CHECK(api::gateway::guest_target(there) == target);
  }
}

TEST_CASE("what of envd is the host's own, however it is spelled", "[gateway]") {
  for (const char* path : {"/init", "/INIT", "//init", "/init/", "/%69nit", "/./init", "/x/../init",
                           "/%2Finit", "/freeze", "/unfreeze", "/collapse", "/fsfreeze", "/fsthaw",
                           "/upgrade", "/snapshot/prepare", "/init/x", "/%zz"}) {
    INFO(path);
    CHECK(api::gateway::is_internal_envd_path(path));
  }
  for (const char* path :
       {"/", "/health", "/files", "/files/compose", "/metrics", "/envs", "/process.Process/Start",
        "/filesystem.Filesystem/ListDir", "/initial", "/x/init"}) {
    INFO(path);
    CHECK(!api::gateway::is_internal_envd_path(path));
  }
}

TEST_CASE("refusals: JSON for programs, a page for browsers", "[gateway]") {
  const auto refusal = api::gateway::sandbox_not_found("cl-x");
  auto response = api::gateway::render(refusal, request_to("h"));
  CHECK(response.status == 502);
  CHECK(response.headers.get("Content-Type") == "application/json");
  CHECK(response.body == "{\"sandboxId\":\"cl-x\",\"message\":\"The sandbox was not found\",\"code\":502}\n");
  response =
      api::gateway::render(api::gateway::port_closed("cl-x", 8080), request_to("h", {{"Accept", "*/*"}}));
  CHECK(response.body ==
        "{\"sandboxId\":\"cl-x\",\"message\":\"The sandbox is running but port is not "
        "open\",\"port\":8080,\"code\":502}\n");
  response = api::gateway::render(
      refusal,
      request_to("h", {{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}));
  CHECK(response.status == 502);
  CHECK(response.headers.get("Content-Type") == "text/html; charset=utf-8");
  CHECK(response.body.find("The sandbox was not found") != std::string::npos);
  response = api::gateway::render(refusal, request_to("h", {{"Accept", "text/html, application/json"}}));
  CHECK(response.headers.get("Content-Type") == "application/json");
  const api::gateway::Refusal hostile{400, "<script>", "\"<b>", std::nullopt};
  response = api::gateway::render(hostile, request_to("h", {{"Accept", "text/html"}}));
  CHECK(response.body.find("<script>") == std::string::npos);
  CHECK(response.body.find("<b>") == std::string::npos);
}

namespace {

struct Sent {
  http::Headers set;
  std::vector<std::string> removed;
  bool removes(std::string_view name) const {
    return std::find(removed.begin(), removed.end(), name) != removed.end();
  }
};

Sent forwarded(std::string peer, http::Headers headers) {
  auto request = request_to("8080-x.localhost:8000", std::move(headers));
  request.peer = std::move(peer);
  http::ProxyOptions options;
  set_forwarded_fields(options, request);
  return {options.set, options.remove};
}

}  // namespace

TEST_CASE("keys of the platform stay here, those of the program pass", "[gateway]") {
  auto sent = forwarded("1.2.3.4:5", {{"X-API-Key", "wrn_0123"}, {"Authorization", "bearer wrn_0123"}});
  CHECK(sent.removes("X-API-Key"));
  CHECK(sent.removes("Authorization"));
  CHECK(sent.removes("X-Wrenn-Agent-Token"));
  sent = forwarded("1.2.3.4:5", {{"X-API-Key", "mine"}, {"X-API-Key", "e2b_00"}});
  CHECK(sent.removes("X-API-Key"));
  sent = forwarded("1.2.3.4:5",
                   {{"X-API-Key", "mine"}, {"Authorization", "Basic d3JuXw=="}, {"X-Access-Token", "t"}});
  CHECK(!sent.removes("X-API-Key"));
  CHECK(!sent.removes("Authorization"));
  CHECK(!sent.removes("X-Access-Token"));
}

TEST_CASE("who a request comes from: believed of a terminator on this machine only", "[gateway]") {
  const http::Headers claims{{"X-Forwarded-For", "9.9.9.9"},
                             {"X-Forwarded-Proto", "https"},
                             {"X-Forwarded-Host", "evil"},
                             {"Forwarded", "for=9.9.9.9"},
                             {"Via", "1.1 edge"}};
  auto sent = forwarded("1.2.3.4:5", claims);
  CHECK(sent.set.get("X-Forwarded-For") == "1.2.3.4");
  CHECK(sent.set.get("X-Forwarded-Proto") == "http");
  CHECK(sent.set.get("X-Forwarded-Host") == "8080-x.localhost:8000");
  CHECK(sent.set.get("Via") == "1.1 edge, 1.1 wrenn");
  CHECK(sent.removes("Forwarded"));
  sent = forwarded("[2001:db8::1]:5", {});
  CHECK(sent.set.get("X-Forwarded-For") == "2001:db8::1");
  sent = forwarded("127.0.0.1:5", claims);
  CHECK(sent.set.get("X-Forwarded-For") == "9.9.9.9, 127.0.0.1");
  CHECK(sent.set.get("X-Forwarded-Proto") == "https");
  CHECK(sent.set.get("X-Forwarded-Host") == "evil");
  CHECK(!sent.removes("Forwarded"));
}
