// Ids out of the database.
#pragma once

#include <string_view>

#include "core/base/error.h"

namespace wrenn::cp::store {

// Throws Error(data_loss): only this program writes ids, so one that does not parse was damaged.
template <typename Id>
Id stored_id(std::string_view text) {
  const auto id = Id::parse(text);
  if (!id) throw_error(ErrorCode::data_loss, "the database holds \"{}\" where an id belongs", text);
  return *id;
}

}  // namespace wrenn::cp::store
