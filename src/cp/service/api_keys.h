// API keys: how they look, and what a team does with its own.
//
// A key is "wrn_" and 32 hex digits. SDKs that insist on E2B's form get the same key as "e2b_" and 40 digits:
// those 32, and the first 8 of the key's hash, so that no other text is a second name of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/async/task.h"
#include "core/db/database.h"
#include "cp/service/caller.h"
#include "cp/store/api_keys.h"

namespace wrenn::cp::service {

using async::Task;

class Credentials;

inline constexpr std::string_view kApiKeyPrefix = "wrn_", kE2bKeyPrefix = "e2b_";
inline constexpr std::size_t kApiKeyShownChars = 10;  // key_prefix

std::string new_api_key();
std::string e2b_spelling(std::string_view key);
// The key in its own form, from either; absent for what is no key.
std::optional<std::string> parse_api_key(std::string_view text);

class ApiKeys {
 public:
  // Both must outlive this.
  ApiKeys(db::Database& database, Credentials& credentials)
      : database_(database), credentials_(credentials) {}

  struct Created {
    store::ApiKey row;
    std::string key;  // never to be seen again
  };
  // Throws Error(invalid_argument) for a name that cannot be one.
  Task<Created> create(Caller caller, std::string name);
  // Newest first.
  Task<std::vector<store::ListedApiKey>> list(Caller caller);
  // It is refused from now on. Nothing happens to one that is not the team's.
  Task<> revoke(Caller caller, model::ApiKeyId id);

 private:
  db::Database& database_;
  Credentials& credentials_;
};

}  // namespace wrenn::cp::service
