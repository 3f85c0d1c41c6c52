// Everything that is encrypted at rest, for a change of the key. What is sealed anew elsewhere must be here,
// too.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/db/database.h"

namespace wrenn::cp::store {

// A stored text sealed anew; absent if it is to stay as it is.
using Reseal = std::function<std::optional<std::string>(const std::string&)>;

struct Resealed {
  std::int64_t changed = 0, left = 0;
};
// Configurations of channels (channels/sealed_config.h). Both throw as db::Connection::query(), and what
// `reseal` throws.
Resealed reseal_channels(db::Connection& connection, const Reseal& reseal);
// Answers kept for repeated requests (idempotency.h).
Resealed reseal_answers(db::Connection& connection, const Reseal& reseal);

}  // namespace wrenn::cp::store
