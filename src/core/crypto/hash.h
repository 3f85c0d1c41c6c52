// Message digests. All results are raw bytes; hex_encode and base64_encode of core/base/codec.h make text of
// them. SHA-1 is here only because the WebSocket handshake asks for it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace wrenn::crypto {

inline constexpr std::size_t kSha1Bytes = 20;
inline constexpr std::size_t kSha256Bytes = 32;
inline constexpr std::size_t kSha512Bytes = 64;

// Throw Error(internal) if OpenSSL fails, which means that it is out of memory or was built without the
// algorithm.
std::string sha1(std::string_view data);
std::string sha256(std::string_view data);
std::string sha512(std::string_view data);

// RFC 2104 with SHA-256; a key of any length. Compare results with constant_time_equal (core/base/secret.h).
// Throws as above.
std::string hmac_sha256(std::string_view key, std::string_view data);

// SHA-256 of data that comes in pieces (files, streams). Throws as above.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view data);
  // The digest; afterwards the object stands as newly made, ready for another message.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wrenn::crypto
