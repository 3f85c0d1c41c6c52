#include "cp/channels/providers.h"

#include <algorithm>
#include <array>

#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/crypto/hash.h"
#include "cp/channels/limits.h"
#include "cp/channels/text.h"
#include "cp/channels/url.h"

namespace wrenn::cp::channels {

namespace {

using Problem = std::optional<std::string>;

const std::string& value_of(const Config& config, std::string_view name) {
  static const std::string kNone;
  const auto found = config.find(std::string(name));
  return found == config.end() ? kNone : found->second;
}

Problem missing(const Config& config, std::initializer_list<std::string_view> names) {
  for (const auto name : names)
    if (value_of(config, name).empty()) return fmt::format("config.{} is required", name);
  return std::nullopt;
}

bool has_only(std::string_view text, std::string_view more) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           more.find(c) != more.npos;
  });
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

outbound::Request post_json(std::string url, std::string body) {
  outbound::Request request{.method = "POST", .url = std::move(url), .body = std::move(body)};
  request.headers.set("Content-Type", "application/json");
  request.headers.set("User-Agent", "wrenn");
  request.timeout = limits::kAttemptTimeout;
  request.max_answer_bytes = limits::kAnswerBytes;
  request.cut_answer = true;
  return request;
}

std::string text_of(const Message& message) {
  return message_text(json::from_json<api::Event>(message.payload));
}

// {"<name>":"<text>"} and more.
std::string text_body(std::string_view name, std::string_view text, std::string_view more = {}) {
  std::string body = "{";
  json::append_string(body, name);
  body += ':';
  json::append_string(body, text);
  body += more;
  body += '}';
  return body;
}

// --- webhook ---

Problem webhook_problem(const Config& config) {
  if (auto problem = missing(config, {"url"})) return problem;
  if (!parse_url(value_of(config, "url"))) return "config.url: must be an http:// or https:// URL";
  return std::nullopt;
}

outbound::Request webhook_request(const Config& config, const Message& message) {
  auto request = post_json(value_of(config, "url"), message.payload);
  const auto timestamp = to_rfc3339(message.at);
  request.headers.set("X-Wrenn-Delivery", message.attempt);
  request.headers.set("X-Wrenn-Timestamp", timestamp);
  request.headers.set("X-WRENN-SIGNATURE",
                      webhook_signature(value_of(config, "secret"), timestamp, message.payload));
  return request;
}

// --- discord ---

Problem discord_problem(const Config& config) {
  if (auto problem = missing(config, {"webhook_url"})) return problem;
  const auto url = parse_url(value_of(config, "webhook_url"));
  static constexpr std::array<std::string_view, 4> kHosts{"discord.com", "discordapp.com", "ptb.discord.com",
                                                          "canary.discord.com"};
  const bool good = url && url->scheme == "https" && !url->has_port &&
                    std::find(kHosts.begin(), kHosts.end(), url->host) != kHosts.end() &&
                    url->segments.size() == 4 && url->segments[0] == "api" &&
                    url->segments[1] == "webhooks" && is_digits(url->segments[2]) &&
                    has_only(url->segments[3], "_-");
  if (!good) return "config.webhook_url: must look like https://discord.com/api/webhooks/ID/TOKEN";
  return std::nullopt;
}

outbound::Request discord_request(const Config& config, const Message& message) {
  // Names in an event must not call people.
  return post_json(value_of(config, "webhook_url"),
                   text_body("content", text_of(message), R"(,"allowed_mentions":{"parse":[]})"));
}

// --- slack ---

Problem slack_problem(const Config& config) {
  if (auto problem = missing(config, {"webhook_url"})) return problem;
  const auto url = parse_url(value_of(config, "webhook_url"));
  const bool good = url && url->scheme == "https" && !url->has_port && url->host == "hooks.slack.com" &&
                    url->segments.size() == 4 && url->segments[0] == "services" &&
                    has_only(url->segments[1], "") && has_only(url->segments[2], "") &&
                    has_only(url->segments[3], "");
  if (!good) return "config.webhook_url: must look like https://hooks.slack.com/services/T…/B…/…";
  return std::nullopt;
}

// Slack reads <…> as links and calls (docs.slack.dev, "Formatting message text").
std::string for_slack(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

outbound::Request slack_request(const Config& config, const Message& message) {
  return post_json(value_of(config, "webhook_url"), text_body("text", for_slack(text_of(message))));
}

// --- teams ---

// …/{group}@{tenant}/IncomingWebhook/{altId}/{owner}: 36, 36, 32 and 36 hexadecimal digits and hyphens.
bool is_hex_id(std::string_view text, std::size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdefABCDEF-") == text.npos;
}

Problem teams_problem(const Config& config) {
  if (auto problem = missing(config, {"webhook_url"})) return problem;
  const auto url = parse_url(value_of(config, "webhook_url"));
  bool good = url && url->scheme == "https" && !url->has_port &&
              (url->host == "outlook.office.com" || url->host.ends_with(".webhook.office.com")) &&
              url->segments.size() == 5;
  if (good) {
    const auto& parts = url->segments;
    const std::string_view both = parts[1];
    const auto at = std::min(both.find('@'), both.size());
    good = is_hex_id(both.substr(0, at), 36) && at < both.size() && is_hex_id(both.substr(at + 1), 36) &&
           is_hex_id(parts[3], 32) && is_hex_id(parts[4], 36);
  }
  if (!good)
    return "config.webhook_url: must look like "
           "https://NAME.webhook.office.com/webhookb2/GROUP@TENANT/IncomingWebhook/ID/OWNER";
  return std::nullopt;
}

outbound::Request teams_request(const Config& config, const Message& message) {
  // Markdown there: a single line break is none.
  std::string text;
  for (const char c : text_of(message)) text += c == '\n' ? std::string("\n\n") : std::string(1, c);
  return post_json(
      value_of(config, "webhook_url"),
      text_body("text", text,
                R"(,"@type":"MessageCard","@context":"http://schema.org/extensions","summary":"wrenn")"));
}

// --- googlechat ---

Problem googlechat_problem(const Config& config) {
  if (auto problem = missing(config, {"webhook_url"})) return problem;
  const auto url = parse_url(value_of(config, "webhook_url"));
  if (!url || url->scheme != "https" || url->has_port || url->host != "chat.googleapis.com" ||
      url->segments.empty())
    return "config.webhook_url: must look like https://chat.googleapis.com/v1/spaces/…";
  return std::nullopt;
}

outbound::Request googlechat_request(const Config& config, const Message& message) {
  return post_json(value_of(config, "webhook_url"), text_body("text", text_of(message)));
}

// --- telegram ---

Problem telegram_problem(const Config& config) {
  if (auto problem = missing(config, {"bot_token", "chat_id"})) return problem;
  const std::string_view token = value_of(config, "bot_token");
  const auto colon = token.find(':');
  if (colon == token.npos || !is_digits(token.substr(0, colon)) || !has_only(token.substr(colon + 1), "_-"))
    return "config.bot_token: must look like 123456:ABC…";
  std::string_view chat = value_of(config, "chat_id");
  const bool good = chat.starts_with('@') ? has_only(chat.substr(1), "_")
                                          : is_digits(chat.starts_with('-') ? chat.substr(1) : chat);
  if (!good) return "config.chat_id: must be a number or @NAME";
  return std::nullopt;
}

outbound::Request telegram_request(const Config& config, const Message& message) {
  std::string more = ",\"chat_id\":";
  json::append_string(more, value_of(config, "chat_id"));
  return post_json(fmt::format("https://api.telegram.org/bot{}/sendMessage", value_of(config, "bot_token")),
                   text_body("text", text_of(message), more));
}

// --- matrix ---

Problem matrix_problem(const Config& config) {
  if (auto problem = missing(config, {"homeserver_url", "access_token", "room_id"})) return problem;
  const auto url = parse_url(value_of(config, "homeserver_url"));
  if (!url || url->has_query) return "config.homeserver_url: must be an http:// or https:// URL";
  if (!has_only(value_of(config, "access_token"), "._~+/=-")) return "config.access_token: must be one word";
  const std::string_view room = value_of(config, "room_id");
  const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!room.starts_with('!') || room.size() < 2 || !std::all_of(room.begin(), room.end(), printable))
    return "config.room_id: must look like !ROOM:SERVER";
  return std::nullopt;
}

outbound::Request matrix_request(const Config& config, const Message& message) {
  std::string base = value_of(config, "homeserver_url");
  while (base.ends_with('/')) base.pop_back();
  // The event's id as transaction id: an attempt whose answer was lost shows once.
  auto request =
      post_json(fmt::format("{}/_matrix/client/v3/rooms/{}/send/m.room.message/{}", base,
                            percent_encode(value_of(config, "room_id")), percent_encode(message.event_id)),
                text_body("body", text_of(message), R"(,"msgtype":"m.text")"));
  request.method = "PUT";
  request.headers.set("Authorization", "Bearer " + value_of(config, "access_token"));
  return request;
}

constexpr std::array kProviders{
    Provider{"webhook", webhook_problem, webhook_request},
    Provider{"discord", discord_problem, discord_request},
    Provider{"slack", slack_problem, slack_request},
    Provider{"teams", teams_problem, teams_request},
    Provider{"googlechat", googlechat_problem, googlechat_request},
    Provider{"telegram", telegram_problem, telegram_request},
    Provider{"matrix", matrix_problem, matrix_request},
};

}  // namespace

const Provider* find_provider(std::string_view name) noexcept {
  for (const auto& provider : kProviders)
    if (provider.name == name) return &provider;
  return nullptr;
}

std::vector<std::string_view> provider_names() {
  std::vector<std::string_view> names;
  for (const auto& provider : kProviders) names.push_back(provider.name);
  return names;
}

std::string webhook_signature(std::string_view secret, std::string_view timestamp, std::string_view body) {
  return "sha256=" + hex_encode(crypto::hmac_sha256(secret, fmt::format("{}.{}", timestamp, body)));
}

std::string random_uuid() {
  std::array<std::uint8_t, 16> bytes;
  fill_random(bytes);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  auto text = hex_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (const std::size_t at : {20, 16, 12, 8}) text.insert(at, 1, '-');
  return text;
}

}  // namespace wrenn::cp::channels
