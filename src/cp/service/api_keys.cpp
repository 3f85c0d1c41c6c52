#include "cp/service/api_keys.h"

#include <algorithm>

#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/crypto/hash.h"
#include "cp/limits.h"
#include "cp/store/teams.h"

namespace wrenn::cp::service {

static constexpr std::size_t kApiKeyRandomBytes = 16;

std::string new_api_key() {
  return std::string(kApiKeyPrefix) + random_hex(kApiKeyRandomBytes);
}

bool is_api_key(std::string_view text) noexcept {
  if (!text.starts_with(kApiKeyPrefix)) return false;
  const auto digits = text.substr(kApiKeyPrefix.size());
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return digits.size() == 2 * kApiKeyRandomBytes && std::all_of(digits.begin(), digits.end(), is_digit);
}

std::string hash_api_key(std::string_view key) {
  return hex_encode(crypto::sha256(key));
}

Task<std::optional<Caller>> ApiKeys::find(std::string key) {
  if (!is_api_key(key)) co_return std::nullopt;
  // Looking up a hash, not the key: the time of the comparison tells nothing about the key.
  const std::string hash = hash_api_key(key);
  const auto start = SteadyClock::now();
  if (const auto found = cache_.find(hash); found != cache_.end() && found->second.valid_until > start) {
    note_used(found->second, start);
    co_return found->second.caller;
  }

  auto look_up = [&hash](db::Connection& connection) { return store::find_api_key(connection, hash); };
  const auto row = co_await database_.read(look_up);
  if (!row) {
    cache_.erase(hash);
    co_return std::nullopt;
  }
  if (cache_.size() >= limits::kApiKeyCacheEntries) cache_.clear();
  auto& entry = cache_[hash];
  entry.caller = Caller{row->team, row->id, row->name};
  entry.valid_until = start + limits::kApiKeyCacheTtl;
  Caller caller = entry.caller;
  note_used(entry, start);
  co_return caller;
}

void ApiKeys::note_used(Entry& entry, SteadyTime at) {
  if (entry.used_written != SteadyTime{} && at - entry.used_written < limits::kApiKeyUsedPeriod) return;
  entry.used_written = at;
  background_.spawn(write_used(entry.caller.key));
}

Task<> ApiKeys::write_used(model::ApiKeyId id) {
  const auto at = now();
  auto write = [&id, at](db::Connection& connection) { store::set_api_key_used(connection, id, at); };
  co_await database_.write(write);
}

}  // namespace wrenn::cp::service
