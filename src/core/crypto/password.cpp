#include "core/crypto/password.h"

#include <crypt.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/secret.h"
#include "core/base/text.h"

namespace wrenn::crypto {

namespace {

// N = 2^ln blocks of 128·r bytes, p times: 16 MiB. One of the equivalent minima of OWASP's Password Storage
// Cheat Sheet ("scrypt"), the one that leaves memory for many at once.
struct ScryptCost {
  unsigned log_n = 14, r = 8, p = 5;
  bool operator==(const ScryptCost&) const = default;
};
constexpr std::size_t kSaltBytes = 16, kHashBytes = 32;
constexpr std::string_view kScrypt = "$scrypt$";
constexpr std::uint64_t kMemoryMax = std::uint64_t{64} << 20;  // of one hash, from the database or not

std::string scrypt(std::string_view password, std::string_view salt, const ScryptCost& cost) {
  std::string hash(kHashBytes, '\0');
  if (EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()),
                     salt.size(), std::uint64_t{1} << cost.log_n, cost.r, cost.p, kMemoryMax,
                     reinterpret_cast<unsigned char*>(hash.data()), hash.size()) != 1)
    throw_error(ErrorCode::internal, "scrypt failed: not enough memory for a password hash");
  return hash;
}

// "ln=14,r=8,p=5"
std::optional<ScryptCost> parse_cost(std::string_view text) {
  const auto parts = split(text, ',');
  if (parts.size() != 3 || !parts[0].starts_with("ln=") || !parts[1].starts_with("r=") ||
      !parts[2].starts_with("p="))
    return std::nullopt;
  const auto log_n = parse_int<unsigned>(parts[0].substr(3)), r = parse_int<unsigned>(parts[1].substr(2)),
             p = parse_int<unsigned>(parts[2].substr(2));
  if (!log_n || !r || !p) return std::nullopt;
  // Bounded, so that a damaged row cannot stop the process: at most 32 MiB, 16 times.
  if (*log_n < 1 || *log_n > 18 || *r < 1 || *r > 32 || *p < 1 || *p > 16) return std::nullopt;
  if ((std::uint64_t{128} * *r << *log_n) > kMemoryMax / 2) return std::nullopt;
  return ScryptCost{*log_n, *r, *p};
}

std::optional<PasswordCheck> check_scrypt(std::string_view password, std::string_view hash) {
  const auto parts = split(hash.substr(kScrypt.size()), '$');
  if (parts.size() != 3) return std::nullopt;
  const auto cost = parse_cost(parts[0]);
  const auto salt = base64_decode(parts[1]), expected = base64_decode(parts[2]);
  if (!cost || !salt || !expected || expected->size() != kHashBytes) return std::nullopt;
  if (!constant_time_equal(scrypt(password, *salt, *cost), *expected)) return PasswordCheck::wrong;
  return *cost == ScryptCost{} && salt->size() >= kSaltBytes ? PasswordCheck::right
                                                             : PasswordCheck::right_but_old;
}

// crypt(3) takes C strings and ignores what follows 72 bytes of bcrypt's input; that is how such hashes were
// made.
std::optional<PasswordCheck> check_bcrypt(std::string_view password, std::string_view hash) {
  if (password.find('\0') != std::string_view::npos) return PasswordCheck::wrong;
  const auto data = std::make_unique<crypt_data>();
  const std::string phrase(password), setting(hash);
  const char* made = ::crypt_r(phrase.c_str(), setting.c_str(), data.get());
  if (made == nullptr || *made == '*') return std::nullopt;
  return constant_time_equal(made, hash) ? PasswordCheck::right_but_old : PasswordCheck::wrong;
}

bool is_bcrypt(std::string_view hash) noexcept {
  static constexpr std::size_t kLength = 60;
  // The cost: 2^4 … 2^15 rounds; more would be minutes.
  return hash.size() == kLength && hash.starts_with("$2") && hash[3] == '$' && hash[6] == '$' &&
         (hash[2] == 'a' || hash[2] == 'b' || hash[2] == 'y') && (hash[4] == '0' || hash[4] == '1') &&
         (hash[4] == '0' || hash[5] <= '5');
}

}  // namespace

std::string hash_password(std::string_view password) {
  std::array<std::uint8_t, kSaltBytes> random{};
  fill_random(random);
  const std::string_view salt(reinterpret_cast<const char*>(random.data()), random.size());
  const ScryptCost cost;
  return fmt::format("{}ln={},r={},p={}${}${}", kScrypt, cost.log_n, cost.r, cost.p,
                     base64_encode_unpadded(salt), base64_encode_unpadded(scrypt(password, salt, cost)));
}

PasswordCheck check_password(std::string_view password, std::string_view hash) {
  std::optional<PasswordCheck> check;
  if (hash.starts_with(kScrypt)) check = check_scrypt(password, hash);
  if (is_bcrypt(hash)) check = check_bcrypt(password, hash);
  if (check) return *check;
  waste_password_time(password);
  return PasswordCheck::wrong;
}

void waste_password_time(std::string_view password) {
  static constexpr std::string_view kSalt = "a salt of no use";
  scrypt(password, kSalt, ScryptCost{});
}

}  // namespace wrenn::crypto
