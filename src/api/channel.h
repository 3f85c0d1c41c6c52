// Notification channels (spec/rest-api.md §10).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json/fields.h"

namespace wrenn::api {

struct Channel {
  std::string id, team_id, name, provider;
  std::vector<std::string> events;
  std::string created_at, updated_at;  // RFC 3339
  std::optional<std::string> secret;   // of a webhook, once: when it is made
  static constexpr auto kFields =
      json::fields(json::field("id", &Channel::id), json::field("team_id", &Channel::team_id),
                   json::field("name", &Channel::name), json::field("provider", &Channel::provider),
                   json::field("events", &Channel::events), json::field("created_at", &Channel::created_at),
                   json::field("updated_at", &Channel::updated_at), json::field("secret", &Channel::secret));
};

using ChannelConfig = std::map<std::string, std::string>;

struct CreateChannel {
  std::string name, provider;
  ChannelConfig config;
  std::vector<std::string> events;
  static constexpr auto kFields = json::fields(
      json::field("name", &CreateChannel::name), json::field("provider", &CreateChannel::provider),
      json::field("config", &CreateChannel::config), json::field("events", &CreateChannel::events));
};

struct UpdateChannel {
  std::string name;
  std::vector<std::string> events;
  static constexpr auto kFields =
      json::fields(json::field("name", &UpdateChannel::name), json::field("events", &UpdateChannel::events));
};

struct ReplaceChannelConfig {
  ChannelConfig config;
  static constexpr auto kFields = json::fields(json::field("config", &ReplaceChannelConfig::config));
};

struct TestChannel {
  std::string provider;
  ChannelConfig config;
  static constexpr auto kFields = json::fields(json::field("provider", &TestChannel::provider),
                                               json::field("config", &TestChannel::config));
};

struct Delivery {
  std::string event_id, event, status;  // pending, delivered, dead
  std::int64_t seq = 0, attempts = 0;
  std::string resource;  // "sandbox:cl-…"
  std::optional<std::int64_t> last_status;
  std::string last_error;
  std::string created_at;
  std::optional<std::string> next_attempt_at, finished_at;
  static constexpr auto kFields = json::fields(
      json::field("event_id", &Delivery::event_id), json::field("event", &Delivery::event),
      json::field("seq", &Delivery::seq), json::field("resource", &Delivery::resource),
      json::field("status", &Delivery::status), json::field("attempts", &Delivery::attempts),
      json::field("last_status", &Delivery::last_status),
      json::field("last_error", &Delivery::last_error, json::kOmitEmpty),
      json::field("next_attempt_at", &Delivery::next_attempt_at),
      json::field("created_at", &Delivery::created_at), json::field("finished_at", &Delivery::finished_at));
};

struct Deliveries {
  std::vector<Delivery> items;
  std::optional<std::int64_t> next_before;  // there is more: ?before=
  static constexpr auto kFields = json::fields(json::field("items", &Deliveries::items),
                                               json::field("next_before", &Deliveries::next_before));
};

}  // namespace wrenn::api
