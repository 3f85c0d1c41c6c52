// The services that channels can lead to: what each asks of a configuration, and the request that tells it of
// an event.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/outbound/http_request.h"
#include "cp/channels/sealed_config.h"

namespace wrenn::cp::channels {

// One attempt to tell of an event.
struct Message {
  std::string event_id;  // the same in each attempt
  std::string payload;   // JSON, api::Event
  UnixTime at;           // of this attempt
  std::string attempt;   // a UUID
};

struct Provider {
  std::string_view name;
  // What is wrong with a configuration; absent: nothing. No value of it stands in the text.
  std::optional<std::string> (*problem)(const Config& config);
  // Of a configuration without problem. Throws Error(invalid_argument).
  outbound::Request (*request)(const Config& config, const Message& message);
};

// Null for a name that none has.
const Provider* find_provider(std::string_view name) noexcept;
std::vector<std::string_view> provider_names();

// "sha256=" and the HMAC of "<timestamp>.<body>" (seeds/000, "Webhook delivery").
std::string webhook_signature(std::string_view secret, std::string_view timestamp, std::string_view body);

// A random UUID (RFC 9562, version 4).
std::string random_uuid();

}  // namespace wrenn::cp::channels
