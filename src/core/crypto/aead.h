// Authenticated encryption of texts at rest: AES-256-GCM (NIST SP 800-38D).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/secret.h"

namespace wrenn::crypto {

class Aead {
 public:
  static constexpr std::size_t kKeyBytes = 32;
  static constexpr std::size_t kNonceBytes = 12;
  static constexpr std::size_t kTagBytes = 16;

  // `key` has kKeyBytes raw bytes; else Error(internal).
  explicit Aead(Secret key);

  // nonce ‖ ciphertext ‖ tag, with a random nonce. One key is good for 2^32 of them. Throws Error(internal)
  // if OpenSSL fails.
  std::string seal(std::string_view plain) const;
  // Absent if it was not made by seal() of this key, or was changed since. Throws as above.
  std::optional<std::string> open(std::string_view sealed) const;

 private:
  Secret key_;
};

}  // namespace wrenn::crypto
