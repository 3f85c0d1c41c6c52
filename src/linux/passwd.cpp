#include "linux/passwd.h"

#include <algorithm>

#include "core/base/text.h"
#include "linux/fd.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

std::vector<User> parse_passwd(std::string_view text) {
  std::vector<User> users;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 7 || fields[0].empty() || fields[0].front() == '#') continue;
    const auto uid = parse_int<uid_t>(fields[2]);
    const auto gid = parse_int<gid_t>(fields[3]);
    if (!uid || !gid) continue;
    users.push_back(
        {std::string(fields[0]), *uid, *gid, std::string(fields[5]), std::string(trim(fields[6]))});
  }
  return users;
}

std::vector<Group> parse_group(std::string_view text) {
  std::vector<Group> groups;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 4 || fields[0].empty() || fields[0].front() == '#') continue;
    const auto gid = parse_int<gid_t>(fields[2]);
    if (!gid) continue;
    Group group{std::string(fields[0]), *gid, {}};
    for (const std::string_view member : split(trim(fields[3]), ','))
      if (!trim(member).empty()) group.members.emplace_back(trim(member));
    groups.push_back(std::move(group));
  }
  return groups;
}

Accounts Accounts::load(const std::string& passwd, const std::string& group) {
  return Accounts(parse_passwd(try_read_file(passwd, limits::kAccountFileBytes).value_or("")),
                  parse_group(try_read_file(group, limits::kAccountFileBytes).value_or("")));
}

std::optional<User> Accounts::user(std::string_view name) const {
  for (const User& user : users_)
    if (user.name == name) return user;
  return std::nullopt;
}

std::optional<User> Accounts::user(uid_t uid) const {
  for (const User& user : users_)
    if (user.uid == uid) return user;
  return std::nullopt;
}

std::optional<Group> Accounts::group(std::string_view name) const {
  for (const Group& group : groups_)
    if (group.name == name) return group;
  return std::nullopt;
}

std::optional<Group> Accounts::group(gid_t gid) const {
  for (const Group& group : groups_)
    if (group.gid == gid) return group;
  return std::nullopt;
}

std::vector<gid_t> Accounts::groups_of(const User& user) const {
  std::vector<gid_t> gids{user.gid};
  for (const Group& group : groups_) {
    const bool member =
        std::find(group.members.begin(), group.members.end(), user.name) != group.members.end();
    if (member && std::find(gids.begin(), gids.end(), group.gid) == gids.end()) gids.push_back(group.gid);
  }
  return gids;
}

}  // namespace wrenn::sys
