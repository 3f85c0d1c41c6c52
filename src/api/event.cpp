#include "api/event.h"

namespace wrenn::api {

static std::string_view outcome_text(model::Outcome outcome) noexcept {
  switch (outcome) {
    case model::Outcome::none:
      return "";
    case model::Outcome::success:
      return "success";
    case model::Outcome::error:
      return "error";
  }
  return "";
}

Event event_view(const model::Event& event) {
  Event view;
  view.event = event.type;
  view.outcome = outcome_text(event.outcome);
  view.timestamp = to_rfc3339(event.at);
  view.team_id = event.team.text();
  view.actor = {std::string(to_string(event.actor.kind)), event.actor.id, event.actor.name};
  view.resource = {event.resource_id, event.resource_type};
  view.metadata = event.metadata;
  view.error = event.error;
  return view;
}

}  // namespace wrenn::api
