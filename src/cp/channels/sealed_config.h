// The configuration of a channel at rest: names in clear, each value encrypted on its own.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/crypto/aead.h"

namespace wrenn::cp::channels {

using Config = std::map<std::string, std::string>;

// {"url":"<base64 of nonce, ciphertext and tag>"}. Throws Error(internal).
std::string seal(const crypto::Aead& key, const Config& config);
// Throws Error(data_loss) if a value does not open.
Config unseal(const crypto::Aead& key, std::string_view sealed);

}  // namespace wrenn::cp::channels
