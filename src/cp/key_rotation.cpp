#include "cp/key_rotation.h"

#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "cp/channels/sealed_config.h"
#include "cp/encryption_key.h"
#include "cp/run.h"
#include "cp/service/audit.h"
#include "cp/store/installation.h"
#include "cp/store/sealed.h"

namespace wrenn::cp {

namespace {

constexpr service::audit::Action kRotate{"encryption_key", "rotate", store::kAdminScope, "warning"};

Secret choose(const Config& config, const Secret& given) {
  if (!given.empty()) return key_file::parse(given.reveal(), "WRENN_NEW_ENCRYPTION_KEY");
  if (!config.encryption_key.empty())
    throw_error(
        ErrorCode::failed_precondition,
        "the key is a setting here (WRENN_ENCRYPTION_KEY or encryption_key), and this command cannot "
        "change that: put the new key (`openssl rand -hex 32`) into WRENN_NEW_ENCRYPTION_KEY, run this "
        "again, and then set it in the old one's place and start the control planes anew");
  return key_file::random();
}

std::optional<std::string> reseal_config(const crypto::Aead& before, const crypto::Aead& after,
                                         const std::string& sealed) {
  try {
    return channels::seal(after, channels::unseal(before, sealed));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::data_loss) return std::nullopt;
    throw;
  }
}

std::optional<std::string> reseal_answer(const crypto::Aead& before, const crypto::Aead& after,
                                         const std::string& sealed) {
  const auto bytes = base64_decode(sealed);
  const auto plain = bytes ? before.open(*bytes) : std::nullopt;
  if (!plain) return std::nullopt;
  return base64_encode(after.seal(*plain));
}

Rotated reseal(db::Connection& connection, const crypto::Aead& before, const crypto::Aead& after) {
  const auto configs = store::reseal_channels(
      connection, [&](const std::string& sealed) { return reseal_config(before, after, sealed); });
  const auto answers = store::reseal_answers(
      connection, [&](const std::string& sealed) { return reseal_answer(before, after, sealed); });
  Rotated done;
  done.resealed = configs.changed + answers.changed;
  done.unreadable = configs.left + answers.left;
  return done;
}

// Control planes that write secrets all the time get in the way of this, not of each other: it takes a moment
// in which none does.
constexpr auto kPatience = std::chrono::seconds(30);

void replace(db::Database& database, EncryptionKey& current, const crypto::Aead& after,
             const std::string& check, Rotated& done) {
  bool again = false;
  auto write = [&](db::Connection& connection) {
    // Whoever writes a secret asks for the key first: he is done, or waits for us. SQLite has one writer.
    if (database.engine() == "postgres") store::lock_installation(connection);
    const auto known = store::installation_fact(connection, store::kEncryptionKeyCheck).value_or("");
    if (known == check && again) return;  // the answer to our commit was lost
    if (known == check) throw_error(ErrorCode::invalid_argument, "this is the key already: choose a new one");
    const auto before = current.in(connection);
    done = reseal(connection, *before, after);
    store::replace_installation_fact(connection, store::kEncryptionKeyCheck, known, check);
    service::audit::write(connection, kRotate, model::kPlatformTeam, {}, check.substr(0, 8));
  };
  for (const auto until = SteadyClock::now() + kPatience;; again = true) {
    try {
      return database.write_now(write);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable || SteadyClock::now() >= until) throw;
    }
  }
}

}  // namespace

Rotated rotate_key(const Config& config, const Secret& given) {
  const bool in_settings = !config.encryption_key.empty();
  const auto database = open_database(config);
  EncryptionKey current(config, *database);
  const auto next = choose(config, given);
  const auto check = key_file::check_value(next);
  const crypto::Aead after(next);
  if (!in_settings) key_file::write_next(config, next);
  Rotated done;
  try {
    replace(*database, current, after, check, done);
  } catch (const Error& error) {
    // The answer to a commit may be lost: the file stays, and the database says whether it counts.
    if (!in_settings && error.code() != ErrorCode::unavailable)
      ::unlink(key_file::path_of_next(config, check).c_str());
    throw;
  }
  done.in_settings = in_settings;
  if (!in_settings) key_file::install_next(config, check);
  return done;
}

}  // namespace wrenn::cp
