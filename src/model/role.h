// What a user may do in a team.
#pragma once

#include <optional>
#include <string_view>

namespace wrenn::model {

// Each may what those before it may. A team has one owner.
enum class Role {
  member,  // works with capsules, snapshots, channels and keys
  admin,   // and with members and the team's name
  owner,   // and ends the team
};

constexpr std::string_view to_string(Role role) noexcept {
  switch (role) {
    case Role::member:
      return "member";
    case Role::admin:
      return "admin";
    case Role::owner:
      return "owner";
  }
  return "";
}

constexpr std::optional<Role> from_string(std::string_view text, Role*) noexcept {
  for (const auto role : {Role::member, Role::admin, Role::owner})
    if (to_string(role) == text) return role;
  return std::nullopt;
}

}  // namespace wrenn::model
