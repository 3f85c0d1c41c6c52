#include "cli/session_options.h"

#include <catch2/catch.hpp>

#include "cli/capsules.h"
#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::cli;

TEST_CASE("environment is NAME=value") {
  SessionFlags flags;
  flags.command = {"true"};
  flags.envs = {"A=1", "B=x=y", "C="};
  const auto options = session_options(flags);
  CHECK(options.envs == std::map<std::string, std::string>{{"A", "1"}, {"B", "x=y"}, {"C", ""}});
  for (const char* wrong : {"A", "=1", ""}) {
    flags.envs = {wrong};
    CHECK_THROWS_AS(session_options(flags), Error);
  }
}

TEST_CASE("an id that is none never becomes part of a target") {
  CHECK(capsule_target("cl-0000000000000000000000001", "/pause") == "/v1/capsules/cl-0000000000000000000000001/pause");
  for (const char* wrong : {"", "../x", "cl-1", "cl-0000000000000000000000001/../.."}) CHECK_THROWS_AS(capsule_target(wrong), Error);
}

TEST_CASE("an endpoint tells address and prefix") {
  Endpoint endpoint;
  endpoint.url = "http://127.0.0.1:8000/api";
  CHECK(endpoint.address().port() == 8000);
  CHECK(endpoint.path_prefix() == "/api");
  endpoint.url = "http://localhost";
  CHECK(endpoint.address().port() == 80);
  CHECK(endpoint.path_prefix().empty());
  endpoint.url = "https://wrenn.example";
  CHECK_THROWS_AS(endpoint.address(), Error);
}
