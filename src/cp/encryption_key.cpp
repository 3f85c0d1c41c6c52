#include "cp/encryption_key.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "api/errors.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "core/crypto/hash.h"
#include "core/log/log.h"
#include "cp/store/installation.h"

namespace wrenn::cp {

namespace {

constexpr std::size_t kHexDigits = 2 * crypto::Aead::kKeyBytes;

std::optional<Secret> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) throw_errno("open {}", path);
  const ScopeGuard close([fd] { ::close(fd); });
  std::array<char, kHexDigits + 2> buffer;  // a line break more, and one byte to see that it ends there
  const auto got = ::read(fd, buffer.data(), buffer.size());
  if (got < 0) throw_errno("read {}", path);
  return key_file::parse(trim({buffer.data(), static_cast<std::size_t>(got)}), path);
}

// Whole and on disk, or an error.
void write_file(const std::string& path, const Secret& key) {
  const auto text = hex_encode(key.reveal()) + "\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) throw_errno("create {}", path);
  const ScopeGuard close([fd] { ::close(fd); });
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(fd) != 0)
    throw_errno("write {}", path);
}

void sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw_errno("open {}", path);
  const ScopeGuard close([fd] { ::close(fd); });
  if (::fsync(fd) != 0) throw_errno("sync {}", path);
}

// Of several that start at once one makes it: it appears under its name when it is complete.
Secret make_file(const Config& config) {
  const auto path = key_file::path(config);
  const auto key = key_file::random();
  const auto unfinished = fmt::format("{}.{}", path, random_hex(4));
  const ScopeGuard remove([&] { ::unlink(unfinished.c_str()); });
  write_file(unfinished, key);
  if (::link(unfinished.c_str(), path.c_str()) != 0 && errno != EEXIST) throw_errno("create {}", path);
  log::info("made a key for secrets at rest; back it up with the database", {{"file", path}});
  return *read_file(path);
}

std::optional<std::string> known_check(db::Connection& connection) {
  return store::installation_fact(connection, store::kEncryptionKeyCheck);
}

// The one with this check value, wherever it is.
std::optional<Secret> find_key(const Config& config, std::string_view check) {
  if (!config.encryption_key.empty()) {
    auto key = key_file::parse(config.encryption_key.reveal(), "encryption_key");
    if (key_file::check_value(key) == check) return key;
    return std::nullopt;
  }
  key_file::install_next(config, check);
  auto key = read_file(key_file::path(config));
  if (key && key_file::check_value(*key) == check) return key;
  return std::nullopt;
}

[[noreturn]] void refuse(const Config& config) {
  const auto path = key_file::path(config);
  const bool from_settings = !config.encryption_key.empty();
  if (!from_settings && ::access(path.c_str(), F_OK) != 0)
    throw_error(
        ErrorCode::failed_precondition,
        "the database holds secrets that are encrypted, but there is no {} and no encryption_key is set: "
        "put the file back, or set WRENN_ENCRYPTION_KEY to what the other processes of this database have",
        path);
  throw_error(
      ErrorCode::failed_precondition,
      "{} is not the key that the secrets in this database are encrypted with: use that one (all "
      "processes of a database need the same; WRENN_ENCRYPTION_KEY takes its 64 digits). If `wrenn admin "
      "rotate-key` was run elsewhere, take the new one",
      from_settings ? "encryption_key" : path);
}

// At the first start the database learns what the key is.
Secret load(const Config& config, db::Database& database) {
  std::optional<std::string> known;
  database.read_now([&](db::Connection& connection) { known = known_check(connection); });
  if (!known) {
    auto first = config.encryption_key.empty()
                     ? read_file(key_file::path(config))
                     : key_file::parse(config.encryption_key.reveal(), "encryption_key");
    if (!first) first = make_file(config);
    const auto mine = key_file::check_value(*first);
    database.write_now([&](db::Connection& connection) {
      known = store::keep_installation_fact(connection, store::kEncryptionKeyCheck, mine);
    });
  }
  auto key = find_key(config, *known);
  if (!key) refuse(config);
  return std::move(*key);
}

}  // namespace

namespace key_file {

std::string check_value(const Secret& key) {
  return hex_encode(crypto::hmac_sha256(key.reveal(), "wrenn: which key is it?")).substr(0, 32);
}

Secret parse(std::string_view digits, std::string_view where) {
  auto bytes = hex_decode(digits);
  if (digits.size() != kHexDigits || !bytes)
    throw_error(ErrorCode::invalid_argument,
                "{}: must be {} hexadecimal digits (32 random bytes, such as `openssl rand -hex 32` gives)",
                where, kHexDigits);
  return Secret(std::move(*bytes));
}

Secret random() {
  return parse(random_hex(crypto::Aead::kKeyBytes), "a new key");
}

std::string path(const Config& config) {
  return config.dir + "/encryption.key";
}

std::string path_of_next(const Config& config, std::string_view check) {
  return fmt::format("{}.new-{}", path(config), check);
}

void write_next(const Config& config, const Secret& key) {
  const auto next = path_of_next(config, check_value(key));
  const auto unfinished = fmt::format("{}.{}", next, random_hex(4));
  ScopeGuard remove([&] { ::unlink(unfinished.c_str()); });
  write_file(unfinished, key);
  if (::rename(unfinished.c_str(), next.c_str()) != 0) throw_errno("rename {}", unfinished);
  remove.dismiss();
  sync_directory(config.dir);
}

void install_next(const Config& config, std::string_view check) {
  const auto next = path_of_next(config, check);
  if (::rename(next.c_str(), path(config).c_str()) == 0)
    sync_directory(config.dir);
  else if (errno != ENOENT)
    throw_errno("rename {}", next);
}

}  // namespace key_file

EncryptionKey::EncryptionKey(const Config& config, db::Database& database) : config_(&config) {
  auto key = load(config, database);
  held_.check = key_file::check_value(key);
  held_.key = std::make_shared<const crypto::Aead>(std::move(key));
}

EncryptionKey::EncryptionKey(crypto::Aead key)
    : held_{{}, std::make_shared<const crypto::Aead>(std::move(key))} {}

std::shared_ptr<const crypto::Aead> EncryptionKey::in(db::Connection& connection) {
  if (config_ == nullptr) return held_.key;
  const auto known = known_check(connection).value_or("");
  const std::lock_guard lock(mutex_);
  if (known == held_.check) return held_.key;
  if (before_.key && known == before_.check) return before_.key;
  auto key = find_key(*config_, known);
  if (key) {
    before_ = std::exchange(held_, {known, std::make_shared<const crypto::Aead>(std::move(*key))});
    log::info("the key for secrets at rest was replaced; using the new one");
    return held_.key;
  }
  static constexpr std::string_view kWhat =
      "the encryption key of this installation was replaced, and this process does not have the new one";
  if (std::exchange(complained_of_, known) != known)
    log::error(kWhat,
               {{"do", config_->encryption_key.empty() ? "put it into the file" : "set it and start anew"},
                {"file", key_file::path(*config_)}});
  throw api::PublicError(ErrorCode::unavailable, 503, "key_replaced",
                         fmt::format("{}; its operator must give it that", kWhat));
}

}  // namespace wrenn::cp
