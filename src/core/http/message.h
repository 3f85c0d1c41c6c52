// What a handler sees of a request, and whole responses.
#pragma once

#include <any>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/body.h"
#include "core/http/headers.h"

namespace wrenn::http {

struct Request {
  std::string method;  // upper case as sent: "GET"
  // "/v1/capsules?x=1" as sent; a whole URL is reduced to its path and query, and its host replaces the Host
  // field.
  std::string target;
  std::string path;       // the part of target before '?', not decoded
  std::string query;      // after '?', not decoded
  int minor_version = 1;  // HTTP/1.x
  Headers headers;
  Body* body =
      nullptr;       // never null inside a handler; owned by the connection, valid until the handler returns
  std::string peer;  // remote address, for logs
  std::map<std::string, std::string, std::less<>> params;  // filled by the router, percent-decoded
  std::any context;                                        // what a middleware learned (who is asking)

  // First value of a query parameter, percent- and plus-decoded; absent if missing or malformed.
  std::optional<std::string> query_value(std::string_view name) const;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

std::string_view reason_phrase(int status) noexcept;
Response json_response(int status, std::string json);  // adds the closing newline of spec/rest-api.md §0
Response text_response(int status, std::string text);

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kEventStream = "text/event-stream";
inline constexpr std::string_view kOctetStream = "application/octet-stream";

}  // namespace wrenn::http
