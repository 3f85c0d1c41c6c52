// The document lists exactly the routes that exist.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "core/base/text.h"
#include "cp/embedded_file.h"
#include "cp/routes.h"
#include "cp/store/schema.h"

using namespace wrenn;
using namespace wrenn::cp;

namespace {

using RouteSet = std::set<std::pair<std::string, std::string>>;

// Enough YAML for a document that indents by two: "  /path:" and below it "    method:".
RouteSet documented(std::string_view text) {
  RouteSet routes;
  std::string path;
  for (const auto line : split(text, '\n')) {
    if (line.starts_with("  /") && line.ends_with(":")) path = line.substr(2, line.size() - 3);
    for (const std::string_view method : {"get", "post", "put", "patch", "delete"})
      if (!path.empty() && line == fmt::format("    {}:", method)) {
        std::string upper(method);
        std::transform(upper.begin(), upper.end(), upper.begin(),
                       [](char c) { return static_cast<char>(c - 'a' + 'A'); });
        routes.emplace(upper, path);
      }
    if (line.starts_with("components:")) break;
  }
  return routes;
}

RouteSet served() {
  asio::io_context loop;
  const auto executor = loop.get_executor();
  const auto database = db::open_database("sqlite://:memory:");
  store::migrate(*database);
  Config config;
  config.agent_address = "unix:/nowhere.sock";
  config.encryption_key = Secret(std::string(64, '0'));
  Services services(executor, config, *database, 0);
  const Routes routes(services);
  RouteSet all;
  for (const auto& route : routes.router().routes()) all.insert(route);
  return all;
}

}  // namespace

TEST_CASE("the OpenAPI document and the router agree") {
  REQUIRE(kOpenApiFiles.size() == 1);
  const auto told = documented(kOpenApiFiles.front().text), real = served();
  CHECK(real.size() > 20);
  for (const auto& [method, path] : real) {
    INFO(method << " " << path << " is served but not documented");
    CHECK(told.contains({method, path}));
  }
  for (const auto& [method, path] : told) {
    INFO(method << " " << path << " is documented but not served");
    CHECK(real.contains({method, path}));
  }
}

TEST_CASE("the migrations are embedded in order") {
  const auto migrations = store::migrations();
  REQUIRE(migrations.size() >= 3);
  for (std::size_t i = 0; i < migrations.size(); ++i) CHECK(migrations[i].version == static_cast<int>(i) + 1);
}
