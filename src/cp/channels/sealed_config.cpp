#include "cp/channels/sealed_config.h"

#include "core/json/fields.h"

namespace wrenn::cp::channels {

std::string seal(const crypto::Aead& key, const Config& config) {
  Config sealed;
  for (const auto& [name, value] : config) sealed[name] = base64_encode(key.seal(value));
  return json::to_json(sealed);
}

Config unseal(const crypto::Aead& key, std::string_view sealed) {
  auto config = json::from_json<Config>(sealed);
  for (auto& [name, value] : config) {
    const auto bytes = base64_decode(value);
    auto plain = bytes ? key.open(*bytes) : std::nullopt;
    if (!plain)
      throw_error(ErrorCode::data_loss, "the value \"{}\" of a channel's configuration cannot be decrypted",
                  name);
    value = std::move(*plain);
  }
  return config;
}

}  // namespace wrenn::cp::channels
