#include "core/http/router.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

using wrenn::http::Reply;
using wrenn::http::Request;
using wrenn::http::Router;

namespace {

wrenn::async::Task<> nothing(Request&, Reply&) {
  co_return;
}

Router make_router() {
  Router router;
  for (const auto& [method, pattern] : std::vector<std::pair<const char*, const char*>>{
           {"GET", "/"},
           {"GET", "/v1/capsules"},
           {"POST", "/v1/capsules"},
           {"GET", "/v1/capsules/{id}"},
           {"DELETE", "/v1/capsules/{id}"},
           {"POST", "/v1/capsules/{id}/exec"},
           {"POST", "/v1/capsules/mine"},
           {"GET", "/v1/capsules/{capsule}/files/{path...}"},
           {"PUT", "/v1/capsules/{id}/files/{path...}"},
           {"HEAD", "/v1/capsules/{id}/files/{path...}"},
           {"GET", "/v1/{kind}/count"},
           {"*", "/proxy/{rest...}"},
       })
    router.add(method, pattern, nothing);
  return router;
}

struct Row {
  const char* method;
  const char* path;
  const char* pattern;  // "404", or "405" with the methods
  std::map<std::string, std::string, std::less<>> params;
};

const Row kRows[] = {
    {"GET", "/", "/", {}},
    {"GET", "", "404", {}},
    {"GET", "*", "404", {}},
    {"GET", "/v1", "404", {}},
    {"GET", "/v1/", "404", {}},
    {"GET", "/v1/capsules", "/v1/capsules", {}},
    {"HEAD", "/v1/capsules", "/v1/capsules", {}},
    {"GET", "/v1/capsules/", "404", {}},
    {"GET", "//v1/capsules", "404", {}},
    {"GET", "/v1/capsules/cl-1", "/v1/capsules/{id}", {{"id", "cl-1"}}},
    {"GET", "/v1/capsules/a%2Fb", "/v1/capsules/{id}", {{"id", "a/b"}}},
    {"GET", "/v1/capsules/a%20b", "/v1/capsules/{id}", {{"id", "a b"}}},
    {"GET", "/v1/capsules/a+b", "/v1/capsules/{id}", {{"id", "a+b"}}},
    {"GET", "/v1/capsules/%zz", "404", {}},
    {"GET", "/v1/capsules/%2", "404", {}},
    {"GET", "/v1/caps%75les", "/v1/capsules", {}},
    {"GET", "/V1/capsules", "404", {}},
    {"POST", "/v1/capsules/mine", "/v1/capsules/mine", {}},
    {"GET", "/v1/capsules/mine", "/v1/capsules/{id}", {{"id", "mine"}}},
    {"GET", "/v1/capsules/count", "/v1/capsules/{id}", {{"id", "count"}}},
    {"GET", "/v1/hosts/count", "/v1/{kind}/count", {{"kind", "hosts"}}},
    {"POST", "/v1/capsules/x/exec", "/v1/capsules/{id}/exec", {{"id", "x"}}},
    {"GET", "/v1/capsules/x/exec", "405 POST", {}},
    {"PATCH", "/v1/capsules", "405 GET, HEAD, POST", {}},
    {"PATCH", "/v1/capsules/mine", "405 DELETE, GET, HEAD, POST", {}},
    {"get", "/v1/capsules", "405 GET, HEAD, POST", {}},
    {"GET",
     "/v1/capsules/x/files/a/b/c",
     "/v1/capsules/{capsule}/files/{path...}",
     {{"capsule", "x"}, {"path", "a/b/c"}}},
    {"PUT", "/v1/capsules/x/files/a", "/v1/capsules/{id}/files/{path...}", {{"id", "x"}, {"path", "a"}}},
    {"HEAD", "/v1/capsules/x/files/a", "/v1/capsules/{id}/files/{path...}", {{"id", "x"}, {"path", "a"}}},
    {"GET",
     "/v1/capsules/x/files/",
     "/v1/capsules/{capsule}/files/{path...}",
     {{"capsule", "x"}, {"path", ""}}},
    {"GET",
     "/v1/capsules/x/files//a",
     "/v1/capsules/{capsule}/files/{path...}",
     {{"capsule", "x"}, {"path", "/a"}}},
    {"GET",
     "/v1/capsules/x/files/a%2Fb%20c",
     "/v1/capsules/{capsule}/files/{path...}",
     {{"capsule", "x"}, {"path", "a/b c"}}},
    {"GET", "/v1/capsules/x/files/%", "404", {}},
    {"GET", "/v1/capsules/x/files", "404", {}},
    {"GET", "/v1/capsules//files/a", "404", {}},
    {"BREW", "/proxy/any/thing", "/proxy/{rest...}", {{"rest", "any/thing"}}},
    {"GET", "/proxy/", "/proxy/{rest...}", {{"rest", ""}}},
};

}  // namespace

TEST_CASE("routes are found") {
  const Router router = make_router();
  for (const Row& row : kRows) {
    INFO(row.method << " " << row.path);
    Request request;
    request.method = row.method;
    request.path = row.path;
    const auto match = router.match(request);
    std::string found(match.pattern);
    if (match.found == Router::Found::no_path) found = "404";
    if (match.found == Router::Found::no_method) found = "405 " + match.allow;
    CHECK(found == row.pattern);
    CHECK((match.handler != nullptr) == (match.found == Router::Found::yes));
    CHECK(request.params == row.params);
  }
}

TEST_CASE("mistakes in route tables are reported at once") {
  Router router = make_router();
  CHECK_THROWS_AS(router.add("GET", "/v1/capsules", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "/v1/capsules/{other}", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "v1", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "/a{b}", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "/{a}b", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "/{}", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "/{...}", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "/{a...}/b", nothing), wrenn::Error);
  CHECK_THROWS_AS(router.add("GET", "/{a}/{a}", nothing), wrenn::Error);
}

TEST_CASE("the table can be listed") {
  const auto routes = make_router().routes();
  CHECK(routes.size() == 12);
  CHECK(routes[2] == std::pair<std::string, std::string>("POST", "/v1/capsules"));
}
