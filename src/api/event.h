// An event as teams get it (seeds/000, "Event payload"): the body of a webhook, the data of a server-sent
// event.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/json/fields.h"
#include "model/event.h"

namespace wrenn::api {

struct EventActor {
  std::string type, id, name;
  static constexpr auto kFields =
      json::fields(json::field("type", &EventActor::type), json::field("id", &EventActor::id),
                   json::field("name", &EventActor::name));
};

struct EventResource {
  std::string id, type;
  static constexpr auto kFields =
      json::fields(json::field("id", &EventResource::id), json::field("type", &EventResource::type));
};

struct Event {
  std::string event;
  std::string outcome;    // left out for types that cannot fail
  std::string timestamp;  // RFC 3339, UTC
  std::string team_id;
  EventActor actor;
  EventResource resource;
  std::map<std::string, std::string> metadata;
  std::string error;
  static constexpr auto kFields = json::fields(
      json::field("event", &Event::event), json::field("outcome", &Event::outcome, json::kOmitEmpty),
      json::field("timestamp", &Event::timestamp), json::field("team_id", &Event::team_id),
      json::field("actor", &Event::actor), json::field("resource", &Event::resource),
      json::field("metadata", &Event::metadata), json::field("error", &Event::error));
};

Event event_view(const model::Event& event);

}  // namespace wrenn::api
