// What strangers and proxies write around a request: the first byte chooses cookies, a query, the way it came
// (X-Forwarded-…), or a text on its way into the log.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/http/cookies.h"
#include "core/http/query.h"
#include "core/log/redaction.h"
#include "cp/client_origin.h"
#include "pieces.h"

using namespace wrenn;

namespace {

void cookies(std::string_view text) {
  http::Headers headers;
  for (const auto line : split(text, '\n')) headers.add("Cookie", std::string(line));
  for (const std::string_view name : {"wrenn_session", "a", ""}) {
    const auto value = http::cookie(headers, name);
    fuzz::require(!value || (text.find(*value) != text.npos && value->find(';') == value->npos),
                  "a cookie's value is a part of its field");
  }
  // What we set comes back as it was, whatever stands before it.
  http::SetCookie set{.name = "wrenn_session", .value = std::string(text.substr(0, 64))};
  const auto rendered = http::render(set);
  fuzz::require(rendered.find_first_of("\r\n") == rendered.npos, "a cookie is one line");
  http::Headers back;
  back.add("Cookie", "wrenn_csrf=x; " + rendered.substr(0, rendered.find(';')));
  fuzz::require(http::cookie(back, set.name) == set.value, "a cookie comes back as it was set");
}

void query(std::string_view text) {
  http::Request request;
  request.query = text;
  for (const std::string_view name : {"token", "a", ""}) {
    const auto all = http::query_values(text, name);
    const auto first = request.query_value(name);
    fuzz::require(!first || (!all.empty() && all.front() == *first), "the first value is the first of all");
    for (const auto& one : all) fuzz::require(one.size() <= text.size(), "decoding makes nothing longer");
  }
}

// Lines: the peer, X-Forwarded-Proto, and fields X-Forwarded-For.
void origin(std::string_view text) {
  const auto lines = split(text, '\n');
  http::Request request;
  request.peer = lines[0];
  if (lines.size() > 1) request.headers.add("X-Forwarded-Proto", std::string(lines[1]));
  for (std::size_t i = 2; i < lines.size(); ++i)
    request.headers.add("X-Forwarded-For", std::string(lines[i]));
  http::Request bare;
  bare.peer = request.peer;
  const auto alone = cp::client_origin(bare, {});
  fuzz::require(!alone.address.starts_with('[') || lines[0].starts_with("[["), "an address has no brackets");
  const bool local = alone.address == "unix";
  const auto doubted = cp::client_origin(request, {});
  if (!local)
    fuzz::require(doubted.address == alone.address && !doubted.https, "strangers' words do not count");
  const auto believed = cp::client_origin(request, {alone.address, "10.0.0.1"});
  fuzz::require(believed.address == "unix" || text.find(believed.address) != text.npos,
                "an origin is one that somebody named");
}

void log_text(std::string_view text) {
  const std::string key = "wrn_0123456789abcdef0123456789abcdef";
  const auto around = log::redacted(std::string(text) + key + "\n").value_or(key);
  fuzz::require(around.find(key) == around.npos, "a key is hidden, whatever stands before it");
}

constexpr void (*kReaders[])(std::string_view) = {cookies, query, origin, log_text};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  try {
    kReaders[bytes[0] % std::size(kReaders)]({reinterpret_cast<const char*>(bytes) + 1, size - 1});
  } catch (const Error& refused) {
    fuzz::require(refused.code() == ErrorCode::invalid_argument, "what is refused is the input");
  }
  return 0;
}
