// Settings: the one description of a role's configuration, from which it is read, checked and printed.
//
//   struct CpSettings {
//     std::string listen = ":8000";
//     Secret database_url;
//     std::chrono::milliseconds session = std::chrono::hours(8);
//   };
//   void describe(config::Settings& settings, CpSettings& values) {
//     settings.address("listen", values.listen, "address of the HTTP server").env("WRENN_CP_LISTEN_ADDR");
//     settings.secret("database.url", values.database_url, "where the data is").env("DATABASE_URL");
//     settings.duration("session.lifetime", values.session, "how long a login lasts", 60s, 24h * 30);
//   }
//
// A later source replaces an earlier one: what the struct holds (the default) < TOML file < environment <
// flags. A setting has one name, its dotted TOML key; its variable is WRENN_ and the key in capitals
// ("session.lifetime" → WRENN_SESSION_LIFETIME) unless env() says otherwise, its flag is --session-lifetime.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/secret.h"
#include "core/config/env.h"
#include "core/config/toml.h"

namespace wrenn::config {

using namespace std::chrono_literals;

struct Sources {
  std::string file;            // path of the TOML file; empty: none
  bool file_optional = false;  // a missing file is no problem (the default path, as opposed to --config)
  Environment environment = process_environment();
  std::vector<std::pair<std::string, std::string>> flags;  // key of the setting → text
};

class Settings {
 public:
  // What is known of one setting. References stay valid as long as the Settings.
  class Field {
   public:
    // The variable instead of WRENN_…; when called again one more: the first that is set counts.
    Field& env(std::string variable);
    // Some source must give it; `why` ends the sentence "… is required".
    Field& required(std::string why);

    const std::string& key() const noexcept { return key_; }
    const std::string& help() const noexcept { return help_; }
    std::string flag() const;  // "--session-lifetime"
    bool secret() const noexcept { return secret_; }
    const std::string& origin() const noexcept {
      return origin_;
    }  // "default", "wrenn.toml:3", "environment X", …

   private:
    friend class Settings;
    // Readers put the value into the struct and return what they expected when they do not accept it.
    using Problem = std::optional<std::string>;
    std::string key_, help_, origin_ = "default", why_required_;
    std::vector<std::string> variables_;
    bool own_variables_ = false, secret_ = false, required_ = false;
    std::function<Problem(std::string_view)> read_text_;
    std::function<Problem(const TomlEntry::Value&)> read_toml_;
    std::function<std::string()> show_;
  };

  // `role` stands in messages: "wrenn cp".
  explicit Settings(std::string role);
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  // Each binds a key to a variable that outlives this object. A key bound twice is a bug and aborts.
  Field& text(std::string key, std::string& target, std::string help);
  Field& boolean(std::string key, bool& target, std::string help);
  Field& integer(std::string key, std::int64_t& target, std::string help, std::int64_t min, std::int64_t max);
  Field& duration(std::string key, std::chrono::milliseconds& target, std::string help,
                  std::chrono::milliseconds min = 0ms, std::chrono::milliseconds max = 24h * 3650);
  Field& size_mib(std::string key, std::int64_t& target, std::string help, std::int64_t min,
                  std::int64_t max);
  Field& address(std::string key, std::string& target, std::string help);
  Field& list(std::string key, std::vector<std::string>& target, std::string help);
  Field& one_of(std::string key, std::string& target, std::string help, std::vector<std::string> words);
  Field& secret(std::string key, Secret& target, std::string help);  // never as a flag: argv is public

  // A TOML table that belongs to another role and is not looked at.
  void ignore_table(std::string name);
  // A rule over several settings, run once all of them could be read; returns what is wrong.
  void rule(std::function<std::optional<std::string>()> check);

  // Throws Error(invalid_argument) that lists every problem found, a line each.
  void load(const Sources& sources);

  // The values in effect as TOML with help and origin as comments; secrets are masked and commented out, so
  // that the output can serve as a file.
  std::string print() const;

  const std::deque<Field>& fields() const noexcept { return fields_; }

 private:
  Field& add(std::string key, std::string help);
  Field* find(std::string_view key) noexcept;
  bool is_table(std::string_view key) const noexcept;
  void load_file(const Sources& sources);
  void load_entry(const TomlEntry& entry, const std::string& where);
  void load_environment(const Environment& environment);
  void load_flags(const Sources& sources);
  void problem(std::string text) { problems_.push_back(std::move(text)); }
  std::string suggestion(std::string_view key) const;

  std::string role_;
  std::deque<Field> fields_;  // a deque: references to fields stay valid
  std::vector<std::string> ignored_tables_;
  std::vector<std::function<std::optional<std::string>()>> rules_;
  std::vector<std::string> problems_;
};

}  // namespace wrenn::config
