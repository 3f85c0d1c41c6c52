// API keys: who is asking.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/async/scope.h"
#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::service {

using async::Task;

inline constexpr std::string_view kApiKeyPrefix = "wrn_";
inline constexpr std::size_t kApiKeyShownChars = 10;  // key_prefix

std::string new_api_key();  // "wrn_" and 32 hex digits
bool is_api_key(std::string_view text) noexcept;
std::string hash_api_key(std::string_view key);  // what the database holds

struct Caller {
  model::TeamId team;
  model::ApiKeyId key;
  std::string key_name;
};

// Looks keys up, remembering them for a short time: a key deleted by another process stops to work within
// limits::kApiKeyCacheTtl, one deleted by this process at once (forget_all).
class ApiKeys {
 public:
  // `background` must be joined before this dies.
  ApiKeys(db::Database& database, async::Scope& background) : database_(database), background_(background) {}

  // Absent for an unknown key. Throws what the database throws.
  Task<std::optional<Caller>> find(std::string key);
  void forget_all() noexcept { cache_.clear(); }

 private:
  struct Entry {
    Caller caller;
    SteadyTime valid_until;
    SteadyTime used_written;
  };
  Task<> write_used(model::ApiKeyId id);
  void note_used(Entry& entry, SteadyTime at);

  db::Database& database_;
  async::Scope& background_;
  std::unordered_map<std::string, Entry> cache_;  // by hash
};

}  // namespace wrenn::cp::service
