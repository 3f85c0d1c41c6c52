#include "cp/service/channel_rules.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/text.h"
#include "cp/channels/limits.h"
#include "model/event.h"

namespace wrenn::cp::service {

namespace {

struct Alias {
  std::string_view old, now;
};
constexpr std::array kAliases{
    Alias{"capsule.created", model::event::kCapsuleCreate},
    Alias{"capsule.running", model::event::kCapsuleResume},
    Alias{"capsule.paused", model::event::kCapsulePause},
    Alias{"capsule.destroyed", model::event::kCapsuleDestroy},
    Alias{"template.snapshot.created", model::event::kSnapshotCreate},
    Alias{"template.snapshot.deleted", model::event::kSnapshotDelete},
};

std::string shown(std::string_view text) {
  return sanitize_utf8(text.substr(0, 64));
}

template <typename Names>
std::string listed(const Names& names) {
  return join({names.begin(), names.end()}, ", ");
}

}  // namespace

std::string admit_channel_name(std::string_view name) {
  auto safe = to_lower(trim(name));
  std::replace(safe.begin(), safe.end(), ' ', '-');
  if (!is_safe_name(safe))
    throw_error(
        ErrorCode::invalid_argument,
        "name: must begin with a letter or digit and have up to 64 letters, digits, dots, hyphens and "
        "underscores");
  return safe;
}

std::vector<std::string> admit_event_types(const std::vector<std::string>& types) {
  std::vector<std::string> admitted;
  for (std::string_view type : types) {
    for (const auto& alias : kAliases)
      if (alias.old == type) type = alias.now;
    const auto& known = model::event::kSubscribable;
    if (std::find(known.begin(), known.end(), type) == known.end())
      throw_error(ErrorCode::invalid_argument, "events: \"{}\" is none; there are {}", shown(type),
                  listed(known));
    if (std::find(admitted.begin(), admitted.end(), type) == admitted.end()) admitted.emplace_back(type);
  }
  if (admitted.empty()) throw_error(ErrorCode::invalid_argument, "events: at least one is required");
  return admitted;
}

const channels::Provider& admit_provider(std::string_view name) {
  const auto* provider = channels::find_provider(name);
  if (provider == nullptr)
    throw_error(ErrorCode::invalid_argument, "provider: \"{}\" is none; there are {}", shown(name),
                listed(channels::provider_names()));
  return *provider;
}

void admit_channel_config(const channels::Provider& provider, const channels::Config& config) {
  namespace limits = channels::limits;
  if (config.size() > limits::kConfigEntries)
    throw_error(ErrorCode::invalid_argument, "config: at most {} entries", limits::kConfigEntries);
  for (const auto& [name, value] : config) {
    if (name.empty() || name.size() > limits::kConfigNameBytes)
      throw_error(ErrorCode::invalid_argument, "config: names have 1 to {} bytes", limits::kConfigNameBytes);
    if (value.size() > limits::kConfigValueBytes)
      throw_error(ErrorCode::invalid_argument, "config.{}: at most {} bytes", shown(name),
                  limits::kConfigValueBytes);
    if (name.find('\0') != name.npos || value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos)
      throw_error(ErrorCode::invalid_argument, "config.{}: must be one line", shown(name));
  }
  if (const auto problem = provider.problem(config)) throw_error(ErrorCode::invalid_argument, "{}", *problem);
}

}  // namespace wrenn::cp::service
