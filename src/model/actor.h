// Who did something, as the audit log and events name it.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::model {

struct Actor {
  enum class Kind { user, api_key, system };
  Kind kind = Kind::system;
  std::string id;    // "usr-…", "key-…"; empty for the system
  std::string name;  // e-mail address of a user, label of a key; empty for the system
};

constexpr std::string_view to_string(Actor::Kind kind) noexcept {
  switch (kind) {
    case Actor::Kind::user:
      return "user";
    case Actor::Kind::api_key:
      return "api_key";
    case Actor::Kind::system:
      return "system";
  }
  return "";
}

}  // namespace wrenn::model
