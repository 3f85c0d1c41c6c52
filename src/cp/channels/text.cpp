#include "cp/channels/text.h"

#include <array>

#include "core/base/text.h"
#include "cp/channels/limits.h"

namespace wrenn::cp::channels {

namespace {

struct Sentence {
  std::string_view type, subject, success, failure;
};

constexpr std::array kSentences{
    Sentence{model::event::kCapsuleCreate, "Capsule", "created", "could not be created"},
    Sentence{model::event::kCapsulePause, "Capsule", "paused", "could not be paused"},
    Sentence{model::event::kCapsuleResume, "Capsule", "is running", "could not be resumed"},
    Sentence{model::event::kCapsuleDestroy, "Capsule", "destroyed", "could not be destroyed"},
    Sentence{model::event::kSnapshotCreate, "Template snapshot", "created", "could not be created"},
    Sentence{model::event::kSnapshotDelete, "Template snapshot", "deleted", "could not be deleted"},
    Sentence{model::event::kHostUp, "Host", "is up", "is up"},
    Sentence{model::event::kHostDown, "Host", "is down", "is down"},
};

std::string summary(const api::Event& event) {
  if (event.event == model::event::kChannelTest) return "Test notification from wrenn";
  for (const auto& sentence : kSentences)
    if (sentence.type == event.event)
      return fmt::format("{} {} {}", sentence.subject, event.resource.id,
                         event.outcome == "error" ? sentence.failure : sentence.success);
  return fmt::format("{} {}", event.event, event.resource.id);
}

std::string actor_text(const api::EventActor& actor) {
  if (actor.type == "system") return "system";
  const std::string_view kind = actor.type == "api_key" ? "api_key " : "";
  if (actor.name.empty()) return fmt::format("{}{}", kind, actor.id);
  return fmt::format("{}{} ({})", kind, actor.name, actor.id);
}

// On one line, whatever a failure said.
void add_line(std::string& text, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  text += fmt::format("\n{}: ", name);
  for (const char c : value) text += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
}

}  // namespace

std::string message_text(const api::Event& event) {
  std::string text = summary(event);
  text += '\n';
  add_line(text, "Event", event.event);
  add_line(text, "Outcome", event.outcome);
  const auto reason = event.metadata.find("reason");
  if (reason != event.metadata.end()) add_line(text, "Reason", reason->second);
  add_line(text, "Resource", trim(event.resource.type + " " + event.resource.id));
  add_line(text, "Actor", actor_text(event.actor));
  add_line(text, "Team", event.team_id);
  add_line(text, "Time", event.timestamp);
  add_line(text, "Error", event.error);  // last: it may be long
  if (text.size() > limits::kMessageBytes) {
    text.resize(limits::kMessageBytes);
    text.resize(complete_utf8_prefix(text));
    text += "…";
  }
  return text;
}

}  // namespace wrenn::cp::channels
