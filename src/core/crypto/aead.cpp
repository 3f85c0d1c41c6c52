#include "core/crypto/aead.h"

#include <openssl/evp.h>

#include <memory>

#include "core/base/error.h"
#include "core/base/random.h"

namespace wrenn::crypto {

namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

void check(int result) {
  if (result != 1) throw Error(ErrorCode::internal, "OpenSSL could not encrypt or decrypt");
}

Context make_context() {
  Context context(EVP_CIPHER_CTX_new());
  if (!context) throw std::bad_alloc();
  return context;
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text, std::size_t at) {
  return reinterpret_cast<unsigned char*>(text.data() + at);
}

}  // namespace

Aead::Aead(Secret key) : key_(std::move(key)) {
  if (key_.reveal().size() != kKeyBytes) throw Error(ErrorCode::internal, "an AES-256 key has 32 bytes");
}

std::string Aead::seal(std::string_view plain) const {
  std::string out(kNonceBytes + plain.size() + kTagBytes, '\0');
  fill_random({bytes(out, 0), kNonceBytes});
  const auto context = make_context();
  check(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()), bytes(out, 0)));
  int length = 0;
  check(EVP_EncryptUpdate(context.get(), bytes(out, kNonceBytes), &length, bytes(plain),
                          static_cast<int>(plain.size())));
  check(EVP_EncryptFinal_ex(context.get(), bytes(out, kNonceBytes + plain.size()), &length));
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                            bytes(out, kNonceBytes + plain.size())));
  return out;
}

std::optional<std::string> Aead::open(std::string_view sealed) const {
  if (sealed.size() < kNonceBytes + kTagBytes) return std::nullopt;
  const auto nonce = sealed.substr(0, kNonceBytes);
  const auto text = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  std::string out(text.size() + kTagBytes,
                  '\0');  // room that is never written, so that data() is valid for none
  const auto context = make_context();
  check(EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()), bytes(nonce)));
  int length = 0;
  check(EVP_DecryptUpdate(context.get(), bytes(out, 0), &length, bytes(text), static_cast<int>(text.size())));
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, bytes(tag, 0)));
  if (EVP_DecryptFinal_ex(context.get(), bytes(out, text.size()), &length) != 1) return std::nullopt;
  out.resize(text.size());
  return out;
}

}  // namespace wrenn::crypto
