// What teams write for their channels, and events as messages: the first byte chooses what it is. Whatever is
// in them, what is sent is JSON, and goes to a host that the provider allows.
#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "cp/channels/limits.h"
#include "cp/channels/providers.h"
#include "cp/channels/text.h"
#include "cp/channels/url.h"
#include "pieces.h"

using namespace wrenn;
using namespace wrenn::cp::channels;

namespace {

api::Event event_with(std::string_view text) {
  api::Event event;
  event.event = "capsule.pause";
  event.outcome = "error";
  event.error = text;
  event.actor = {"user", "usr-1", std::string(text)};
  event.metadata["reason"] = text;
  return event;
}

// The lines are the values of a configuration with every name that there is.
void configuration(std::string_view text) {
  static constexpr std::array<std::string_view, 8> kNames{
      "url", "webhook_url", "secret", "bot_token", "chat_id", "homeserver_url", "access_token", "room_id"};
  const auto lines = split(text, '\n');
  Config config;
  for (std::size_t i = 0; i < std::min(lines.size(), kNames.size()); ++i)
    config[std::string(kNames[i])] = lines[i];
  for (const auto name : provider_names()) {
    const auto* provider = find_provider(name);
    if (provider->problem(config)) continue;
    const auto request =
        provider->request(config, {"e1", json::to_json(event_with(text)), UnixTime{0}, "a1"});
    (void)json::parse(request.body);
    const auto url = parse_url(request.url);
    fuzz::require(url.has_value(), "requests go to a URL");
    if (name == "slack") fuzz::require(url->host == "hooks.slack.com", "Slack is at its host");
    if (name == "telegram") fuzz::require(url->host == "api.telegram.org", "Telegram is at its host");
  }
}

void message(std::string_view text) {
  const auto told = message_text(event_with(sanitize_utf8(text)));
  fuzz::require(is_valid_utf8(told), "a message is UTF-8");
  fuzz::require(told.size() <= wrenn::cp::channels::limits::kMessageBytes + 3, "a message is short");
}

void url(std::string_view text) {
  const auto read = parse_url(text);
  if (!read) return;
  fuzz::require(read->scheme == "http" || read->scheme == "https", "a URL is one of the web");
  fuzz::require(!read->host.empty() && read->host.find_first_of("@/?#\\ ") == read->host.npos,
                "a host is a host");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    switch (bytes[0] % 3) {
      case 0:
        configuration(data);
        break;
      case 1:
        message(data);
        break;
      default:
        url(data);
    }
  } catch (const Error&) {
  }
  return 0;
}
