// Text → json::Value.
#pragma once

#include <string_view>

#include "core/base/limits.h"
#include "core/json/value.h"

namespace wrenn::json {

// Throws Error(invalid_argument) that says what is wrong; nesting beyond `depth` is refused, so are bytes after the value
// (white space apart) and invalid UTF-8.
Value parse(std::string_view text, int depth = limits::kJsonDepth);

}  // namespace wrenn::json
