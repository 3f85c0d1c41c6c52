#include "core/crypto/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/base/error.h"

namespace wrenn::crypto {

namespace {

// OpenSSL 3 looks an algorithm up by name on every use of EVP_sha256(); a fetched one is looked up once.
struct Digest {
  Digest(const char* name, std::size_t size) : method(EVP_MD_fetch(nullptr, name, nullptr)), bytes(size) {
    if (method == nullptr)
      throw_error(ErrorCode::internal, "OpenSSL has no {}: use an OpenSSL with its default provider", name);
  }
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  ~Digest() { EVP_MD_free(method); }

  std::string of(std::string_view data) const {
    std::string out(bytes, '\0');
    unsigned length = 0;
    if (EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(out.data()), &length, method,
                   nullptr) != 1 ||
        length != bytes)
      throw Error(ErrorCode::internal, "OpenSSL could not compute a digest");
    return out;
  }

  EVP_MD* method;
  std::size_t bytes;
};

const Digest& sha256_digest() {
  static const Digest digest("SHA256", kSha256Bytes);
  return digest;
}

}  // namespace

std::string sha1(std::string_view data) {
  static const Digest digest("SHA1", kSha1Bytes);
  return digest.of(data);
}

std::string sha256(std::string_view data) {
  return sha256_digest().of(data);
}

std::string sha512(std::string_view data) {
  static const Digest digest("SHA512", kSha512Bytes);
  return digest.of(data);
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  std::string out(kSha256Bytes, '\0');
  unsigned length = 0;
  // A null key would mean "the key of last time" to HMAC(), so an empty one still needs an address.
  const char* key_bytes = key.empty() ? "" : key.data();
  if (HMAC(sha256_digest().method, key_bytes, static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(data.data()), data.size(),
           reinterpret_cast<unsigned char*>(out.data()), &length) == nullptr ||
      length != kSha256Bytes)
    throw Error(ErrorCode::internal, "OpenSSL could not compute an HMAC");
  return out;
}

struct Sha256::Impl {
  Impl() : context(EVP_MD_CTX_new()) {
    if (context == nullptr) throw Error(ErrorCode::internal, "OpenSSL: out of memory for a digest");
    start();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { EVP_MD_CTX_free(context); }

  void start() {
    if (EVP_DigestInit_ex(context, sha256_digest().method, nullptr) != 1)
      throw Error(ErrorCode::internal, "OpenSSL could not start a digest");
  }

  EVP_MD_CTX* context;
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view data) {
  if (EVP_DigestUpdate(impl_->context, data.data(), data.size()) != 1)
    throw Error(ErrorCode::internal, "OpenSSL could not continue a digest");
}

std::string Sha256::finish() {
  std::string out(kSha256Bytes, '\0');
  if (EVP_DigestFinal_ex(impl_->context, reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1)
    throw Error(ErrorCode::internal, "OpenSSL could not finish a digest");
  impl_->start();
  return out;
}

}  // namespace wrenn::crypto
