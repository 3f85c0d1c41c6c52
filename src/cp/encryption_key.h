// The key that encrypts secrets of teams at rest.
//
// The database remembers which key that is (its check value, in `installation`), and whoever seals or opens
// something asks there, in the same transaction: a key that was replaced meanwhile (key_rotation.h) is never
// used to write, and what is read is opened with the key it was sealed with.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/crypto/aead.h"
#include "core/db/database.h"
#include "cp/config.h"

namespace wrenn::cp {

// Files and texts of keys. All block, and throw Error(invalid_argument) for a key that is not one,
// SystemError.
namespace key_file {
// Tells keys apart without telling anything of them.
std::string check_value(const Secret& key);
Secret parse(std::string_view digits, std::string_view where);
Secret random();
std::string path(const Config& config);
// Where a key waits that is to follow. A name for each, so that none is ever overwritten.
std::string path_of_next(const Config& config, std::string_view check);
void write_next(const Config& config, const Secret& key);
// DIR/encryption.key becomes the key with this check value, if that waits there.
void install_next(const Config& config, std::string_view check);
}  // namespace key_file

class EncryptionKey {
 public:
  // The setting encryption_key; without one the file DIR/encryption.key, made at the first start. `config`
  // must outlive this. Blocking. Throws Error(invalid_argument) for a key that is not one,
  // Error(failed_precondition) for another than that of the database, SystemError.
  EncryptionKey(const Config& config, db::Database& database);
  // Never replaced: for tests.
  explicit EncryptionKey(crypto::Aead key);

  // What everything that this transaction sees is sealed with, and what it must seal with. If that is a new
  // key, it is read from its file, which blocks. Throws PublicError 503 key_replaced if it is not there.
  std::shared_ptr<const crypto::Aead> in(db::Connection& connection);

 private:
  const Config* config_ = nullptr;
  std::mutex mutex_;
  struct Held {
    std::string check;
    std::shared_ptr<const crypto::Aead> key;
  };
  Held held_, before_;         // that before: of transactions that began before it was replaced
  std::string complained_of_;  // check value
};

}  // namespace wrenn::cp
