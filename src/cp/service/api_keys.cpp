#include "cp/service/api_keys.h"

#include <algorithm>

#include "core/base/random.h"
#include "cp/service/account_rules.h"
#include "cp/service/audit.h"
#include "cp/service/credentials.h"

namespace wrenn::cp::service {

static constexpr std::size_t kRandomBytes = 16;
static constexpr std::size_t kE2bCheckDigits = 8;

std::string new_api_key() {
  return std::string(kApiKeyPrefix) + random_hex(kRandomBytes);
}

std::string e2b_spelling(std::string_view key) {
  return std::string(kE2bKeyPrefix) + std::string(key.substr(kApiKeyPrefix.size())) +
         hash_secret(key).substr(0, kE2bCheckDigits);
}

static bool are_hex_digits(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<std::string> parse_api_key(std::string_view text) {
  static constexpr std::size_t kDigits = 2 * kRandomBytes;
  const bool is_e2b = text.starts_with(kE2bKeyPrefix);
  if (!is_e2b && !text.starts_with(kApiKeyPrefix)) return std::nullopt;
  const auto digits = text.substr(kApiKeyPrefix.size());  // both prefixes are as long
  if (digits.size() != kDigits + (is_e2b ? kE2bCheckDigits : 0) || !are_hex_digits(digits))
    return std::nullopt;
  std::string key(kApiKeyPrefix);
  key += digits.substr(0, kDigits);
  if (is_e2b && e2b_spelling(key) != text) return std::nullopt;
  return key;
}

Task<ApiKeys::Created> ApiKeys::create(Caller caller, std::string name) {
  Created created;
  created.key = new_api_key();
  created.row.id = model::ApiKeyId::random();
  created.row.team = caller.team;
  created.row.name = admit_key_name(name);
  created.row.hash = hash_secret(created.key);
  created.row.prefix = created.key.substr(0, kApiKeyShownChars);
  created.row.created_at = now();
  created.row.created_by = caller.user;
  auto write = [&](db::Connection& connection) {
    store::insert_api_key(connection, created.row);
    audit::write(connection, audit::kKeyCreate, caller.team, caller.actor, created.row.id.text(),
                 {{"name", created.row.name}});
  };
  co_await database_.write(write);
  co_return created;
}

Task<std::vector<store::ListedApiKey>> ApiKeys::list(Caller caller) {
  auto read = [&](db::Connection& connection) { return store::api_keys_of(connection, caller.team); };
  co_return co_await database_.read(read);
}

Task<> ApiKeys::revoke(Caller caller, model::ApiKeyId id) {
  auto write = [&](db::Connection& connection) {
    if (store::erase_api_key(connection, caller.team, id) == 0) return;
    audit::write(connection, audit::kKeyRevoke, caller.team, caller.actor, id.text());
    announce_revocation(connection);
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

}  // namespace wrenn::cp::service
