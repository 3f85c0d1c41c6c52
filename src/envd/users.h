// Whom a process or file belongs to.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/passwd.h"

namespace wrenn::envd {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
  std::string shell = "/bin/sh";  // what a login would start
  std::vector<gid_t> groups;      // primary and supplementary
};

// Reads /etc/passwd and /etc/group anew, for they are the guest's and change. Throws Error(unauthenticated)
// "invalid username: 'x'" for an unknown name (the text is part of the protocol), SystemError.
User find_user(std::string_view name);

// The user envd runs as: who acts for requests that name nobody, until the host decides otherwise. It need
// not be in /etc/passwd. Throws SystemError.
User own_user();

// The name in an "Authorization: Basic base64(name:)" field; absent without a field or with an empty name.
// Throws Error(unauthenticated) when the field is something else.
std::optional<std::string> basic_user(std::optional<std::string_view> authorization);

}  // namespace wrenn::envd
