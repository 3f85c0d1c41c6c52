#include "envd/users.h"

#include <unistd.h>

#include <cstdlib>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"

namespace wrenn::envd {

namespace {

User make_user(const sys::Accounts& accounts, const sys::User& account) {
  User user;
  user.name = account.name;
  user.uid = account.uid;
  user.gid = account.gid;
  user.home = account.home.empty() ? "/" : account.home;
  if (!account.shell.empty()) user.shell = account.shell;
  user.groups = accounts.groups_of(account);
  return user;
}

}  // namespace

User own_user() {
  const auto accounts = sys::Accounts::load();
  if (const auto account = accounts.user(::geteuid())) return make_user(accounts, *account);
  // As in a container that runs under a number of its own.
  User user;
  const char* home = std::getenv("HOME");
  user.name = std::to_string(::geteuid());
  user.uid = ::geteuid();
  user.gid = ::getegid();
  user.home = home != nullptr && *home == '/' ? home : "/";
  user.groups = {user.gid};
  return user;
}

User find_user(std::string_view name) {
  const auto accounts = sys::Accounts::load();
  const auto account = name.size() > limits::kUserNameBytes ? std::nullopt : accounts.user(name);
  if (!account) {
    User own = own_user();
    if (name == own.name) return own;
    const std::string shown = sanitize_utf8(name.substr(0, limits::kUserNameBytes));
    throw_error(ErrorCode::unauthenticated, "invalid username: '{}'", shown);
  }
  return make_user(accounts, *account);
}

std::optional<std::string> basic_user(std::optional<std::string_view> authorization) {
  if (!authorization) return std::nullopt;
  constexpr std::string_view kScheme = "basic ";
  if (authorization->size() < kScheme.size() ||
      !equals_ignoring_case(authorization->substr(0, kScheme.size()), kScheme))
    throw_error(ErrorCode::unauthenticated,
                "Authorization: must be Basic, with the user's name and no password");
  const auto decoded = base64_decode(trim(authorization->substr(kScheme.size())));
  if (!decoded) throw_error(ErrorCode::unauthenticated, "Authorization: malformed base64");
  std::string name = decoded->substr(0, decoded->find(':'));
  if (name.empty()) return std::nullopt;
  return name;
}

}  // namespace wrenn::envd
