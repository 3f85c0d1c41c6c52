// Facts of the whole installation, by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/db/database.h"

namespace wrenn::cp::store {

inline constexpr std::string_view kEncryptionKeyCheck = "encryption_key_check";

// All throw as db::Connection::query().
std::optional<std::string> installation_fact(db::Connection& connection, std::string_view name);
// What stands there afterwards: the first word stays.
std::string keep_installation_fact(db::Connection& connection, std::string_view name, std::string_view value);
// PostgreSQL only, within a write: nobody else reads these facts until its end. If somebody wrote who had
// read them and was not done when the write began, the write is made again.
void lock_installation(db::Connection& connection);
// False if it is not `before`.
bool replace_installation_fact(db::Connection& connection, std::string_view name, std::string_view before,
                               std::string_view value);

}  // namespace wrenn::cp::store
