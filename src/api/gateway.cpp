#include "api/gateway.h"

#include <fmt/format.h>

#include <array>

#include "core/base/codec.h"
#include "core/base/text.h"
#include "core/json/writer.h"

namespace wrenn::api::gateway {

static constexpr std::string_view kPrefix = "/proxy/";

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  if (text.empty() || text.front() == '0' || text.size() > 5) return std::nullopt;
  return parse_int<std::uint16_t>(text);
}

std::string agent_target(std::string_view sandbox_id, std::uint16_t port, std::string_view target) {
  return fmt::format("{}{}/{}{}", kPrefix, sandbox_id, port, target);
}

std::string guest_target(std::string_view agent_target) {
  const auto id_end = agent_target.find('/', kPrefix.size());
  if (id_end == std::string_view::npos) return "/";
  const auto port_end = agent_target.find_first_of("/?", id_end + 1);
  if (port_end == std::string_view::npos) return "/";
  const auto rest = agent_target.substr(port_end);
  return rest.front() == '/' ? std::string(rest) : "/" + std::string(rest);
}

bool is_internal_envd_path(std::string_view path) {
  static constexpr std::array<std::string_view, 8> kInternal = {"init",     "freeze", "unfreeze", "collapse",
                                                                "fsfreeze", "fsthaw", "upgrade",  "snapshot"};
  // Generous about slashes, dots and escapes: what any router might take for one of these is one.
  std::string first;
  for (const auto part : split(path, '/')) {
    const auto decoded = percent_decode(part);
    if (!decoded || *decoded == "." || *decoded == "..") return true;
    if (first.empty()) first = to_lower(decoded->substr(0, decoded->find('/')));
    if (decoded->starts_with('/')) return true;
  }
  for (const auto internal : kInternal)
    if (first == internal) return true;
  return false;
}

Refusal sandbox_not_found(std::string_view sandbox_id) {
  return {502, "The sandbox was not found", std::string(sandbox_id), std::nullopt};
}

Refusal port_closed(std::string_view sandbox_id, std::uint16_t port) {
  return {502, "The sandbox is running but port is not open", std::string(sandbox_id), port};
}

Refusal sandbox_changing(std::string_view sandbox_id, std::string_view state) {
  return {409, fmt::format("The sandbox is {}; try again in a moment", state), std::string(sandbox_id),
          std::nullopt};
}

namespace {

bool wants_page(const http::Request& request) {
  bool page = false;
  for (const auto field : request.headers.all("Accept")) {
    const std::string accept = to_lower(field);
    if (accept.find("application/json") != accept.npos) return false;
    page = page || accept.find("text/html") != accept.npos;
  }
  return page;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string json_of(const Refusal& refusal) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  if (!refusal.sandbox_id.empty()) writer.member("sandboxId", refusal.sandbox_id);
  writer.member("message", refusal.message);
  if (refusal.port) writer.member("port", static_cast<int>(*refusal.port));
  writer.member("code", refusal.status);
  writer.end_object();
  return text;
}

std::string page_of(const Refusal& refusal) {
  std::string facts;
  if (!refusal.sandbox_id.empty())
    facts += fmt::format("<p>Sandbox <code>{}</code></p>\n", escape(refusal.sandbox_id));
  if (refusal.port) facts += fmt::format("<p>Port <code>{}</code></p>\n", *refusal.port);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{0} {1}</title>\n"
      "<style>body{{font:1rem system-ui,sans-serif;margin:15vh auto;max-width:36rem;padding:0 "
      "1rem}}</style>\n"
      "<h1>{1}</h1>\n{2}</html>\n",
      refusal.status, escape(refusal.message), facts);
}

}  // namespace

http::Response render(const Refusal& refusal, const http::Request& request) {
  http::Response response;
  if (wants_page(request)) {
    response.status = refusal.status;
    response.body = page_of(refusal);
    response.headers.set("Content-Type", "text/html; charset=utf-8");
    response.headers.set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  } else {
    response = http::json_response(refusal.status, json_of(refusal));
  }
  // The next moment may know better.
  response.headers.set("Cache-Control", "no-store");
  if (refusal.status == 409 || refusal.status == 429 || refusal.status == 503)
    response.headers.set("Retry-After", "1");
  return response;
}

http::Response internal_path(std::string_view path) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("message", "this path is not offered");
  writer.member("path", path);
  writer.member("code", 404);
  writer.end_object();
  return http::json_response(404, std::move(text));
}

}  // namespace wrenn::api::gateway
