#include "envd/files/access.h"

#include <catch2/catch.hpp>
#include <ctime>
#include <optional>

#include "core/base/codec.h"
#include "core/base/error.h"

namespace {

using namespace wrenn;
using namespace wrenn::envd;
using files::authorize;
using files::Operation;
using files::signature_of;

constexpr const char* kToken = "0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0";

struct Case {
  AccessToken token;
  Defaults defaults;
  http::Request request;

  explicit Case(std::string query, bool has_token = true) {
    if (has_token) token.set(Secret(kToken));
    defaults.user = "root";
    request.query = std::move(query);
  }
  // The name of the user, or the text of the refusal.
  std::string result(Operation operation = Operation::read) {
    try {
      return authorize(request, operation, token, defaults).name;
    } catch (const Error& error) {
      return error.what();
    }
  }
};

std::string signed_query(const std::string& path, Operation operation, const std::string& user,
                         std::optional<std::int64_t> expiration = std::nullopt) {
  std::string query = "path=" + path +
                      "&signature=" + percent_encode(signature_of(path, operation, user, kToken, expiration));
  if (!user.empty()) query += "&username=" + user;
  if (expiration) query += "&signature_expiration=" + std::to_string(*expiration);
  return query;
}

}  // namespace

TEST_CASE("the signature is the one of the protocol's test vector (spec/e2b/envd-api.md §2.3)") {
  CHECK(signature_of("hello.txt", Operation::read, "user", kToken, std::nullopt) ==
        "v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E");
}

TEST_CASE("a signature is of one path, operation, user, token and expiration") {
  const auto base = signature_of("p", Operation::read, "u", "t", 5);
  CHECK(base != signature_of("q", Operation::read, "u", "t", 5));
  CHECK(base != signature_of("p", Operation::write, "u", "t", 5));
  CHECK(base != signature_of("p", Operation::read, "v", "t", 5));
  CHECK(base != signature_of("p", Operation::read, "u", "s", 5));
  CHECK(base != signature_of("p", Operation::read, "u", "t", 6));
  CHECK(base != signature_of("p", Operation::read, "u", "t", std::nullopt));
}

TEST_CASE("without a token everybody may, whatever the signature") {
  CHECK(Case("path=a", false).result() == "root");
  CHECK(Case("path=a&signature=nonsense", false).result() == "root");
}

TEST_CASE("a signed URL is admitted for what was signed") {
  const std::int64_t soon = std::time(nullptr) + 60;
  CHECK(Case(signed_query("a", Operation::read, "")).result() == "root");
  CHECK(Case(signed_query("a", Operation::read, "nobody")).result() == "nobody");
  CHECK(Case(signed_query("a", Operation::read, "", soon)).result() == "root");
  CHECK(Case(signed_query("a", Operation::write, "")).result(Operation::write) == "root");
  CHECK(Case(signed_query("a", Operation::read, "")).result(Operation::write) == "invalid signature");
  CHECK(Case(signed_query("a", Operation::read, "") + "&username=nobody").result() == "invalid signature");
  CHECK(Case(signed_query("a", Operation::read, "") + "&signature_expiration=" + std::to_string(soon))
            .result() == "invalid signature");
  // The name of the default user, signed but not sent.
  std::string query = signed_query("a", Operation::read, "root");
  query.erase(query.find("&username"));
  CHECK(Case(query).result() == "root");
}

TEST_CASE("a signature is checked before its expiration") {
  const std::int64_t past = std::time(nullptr) - 1;
  CHECK(Case(signed_query("a", Operation::read, "", past)).result() == "signature is already expired");
  CHECK(Case(signed_query("a", Operation::read, "", 0)).result() == "signature is already expired");
  CHECK(Case("path=a&signature=v1_x&signature_expiration=0").result() == "invalid signature");
  CHECK(Case("path=a&signature=v1_x&signature_expiration=soon").result().starts_with("signature_expiration"));
  CHECK(Case("path=a").result() == "missing signature query parameter");
}

TEST_CASE("a header counts instead of a signature, right or wrong") {
  Case right("path=a"), wrong(signed_query("a", Operation::read, ""));
  right.request.headers.set("X-Access-Token", kToken);
  wrong.request.headers.set("X-Access-Token", "other");
  CHECK(right.result() == "root");
  CHECK(wrong.result().find("not the right one") != std::string::npos);
}

TEST_CASE("who has a signed URL cannot become another user by a header") {
  Case basic(signed_query("a", Operation::read, ""));
  basic.defaults.user = "nobody";
  basic.request.headers.set("Authorization", "Basic cm9vdDo=");  // root:
  CHECK(basic.result() == "nobody");
}
