#include "envd/users.h"

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"

namespace wrenn::envd {

User find_user(std::string_view name) {
  const auto accounts = sys::Accounts::load();
  const auto account = name.size() > limits::kUserNameBytes ? std::nullopt : accounts.user(name);
  if (!account) {
    const std::string shown = sanitize_utf8(name.substr(0, limits::kUserNameBytes));
    throw_error(ErrorCode::unauthenticated, "invalid username: '{}'", shown);
  }
  User user;
  user.name = account->name;
  user.uid = account->uid;
  user.gid = account->gid;
  user.home = account->home.empty() ? "/" : account->home;
  user.groups = accounts.groups_of(*account);
  return user;
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
