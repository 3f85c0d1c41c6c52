// What happened, as teams are told of it (seeds/000, "Event payload"). Types and reasons are words of the
// public API: they are never renamed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "model/actor.h"
#include "model/ids.h"

namespace wrenn::model {

namespace event {
inline constexpr std::string_view kCapsuleCreate = "capsule.create";  // the first boot
inline constexpr std::string_view kCapsulePause = "capsule.pause";
inline constexpr std::string_view kCapsuleResume = "capsule.resume";  // any later boot
inline constexpr std::string_view kCapsuleDestroy = "capsule.destroy";
inline constexpr std::string_view kSnapshotCreate = "template.snapshot.create";
inline constexpr std::string_view kSnapshotDelete = "template.snapshot.delete";
inline constexpr std::string_view kHostUp = "host.up";
inline constexpr std::string_view kHostDown = "host.down";

// What channels can subscribe to.
inline constexpr std::array kSubscribable{kCapsuleCreate,  kCapsulePause,   kCapsuleResume, kCapsuleDestroy,
                                          kSnapshotCreate, kSnapshotDelete, kHostUp,        kHostDown};

// Told to listeners of the moment only, never stored (spec/data-model.md §4.2).
inline constexpr std::string_view kStateChanged = "capsule.state.changed";
// The Test button of a channel.
inline constexpr std::string_view kChannelTest = "channel.test";
}  // namespace event

enum class Outcome { none, success, error };  // none: of types that cannot fail

struct Event {
  std::string type;
  Outcome outcome = Outcome::none;
  UnixTime at;
  TeamId team;
  Actor actor;
  std::string resource_type;  // "sandbox", "snapshot", "host"
  std::string resource_id;
  std::map<std::string, std::string> metadata;
  std::string error;  // of Outcome::error
  // Order among the events of one resource; larger is later. Of a capsule: the revision of its row.
  std::int64_t position = 0;
};

}  // namespace wrenn::model
