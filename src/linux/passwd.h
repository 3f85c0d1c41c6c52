// Users and groups from /etc/passwd and /etc/group, without the C library's NSS, which a static binary cannot
// load. Lines that are malformed are left out, as libc does.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::sys {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
  std::string shell;  // empty means /bin/sh
};

struct Group {
  std::string name;
  gid_t gid = 0;
  std::vector<std::string> members;
};

std::vector<User> parse_passwd(std::string_view text);
std::vector<Group> parse_group(std::string_view text);

// A copy of both files; missing ones count as empty. Reads anew at each load().
class Accounts {
 public:
  // Throws SystemError.
  static Accounts load(const std::string& passwd = "/etc/passwd", const std::string& group = "/etc/group");
  Accounts(std::vector<User> users, std::vector<Group> groups)
      : users_(std::move(users)), groups_(std::move(groups)) {}

  std::optional<User> user(std::string_view name) const;
  std::optional<User> user(uid_t uid) const;  // the first of that number
  std::optional<Group> group(std::string_view name) const;
  std::optional<Group> group(gid_t gid) const;
  // The primary group first, then those that list the user as member, each once.
  std::vector<gid_t> groups_of(const User& user) const;

 private:
  std::vector<User> users_;
  std::vector<Group> groups_;
};

}  // namespace wrenn::sys
