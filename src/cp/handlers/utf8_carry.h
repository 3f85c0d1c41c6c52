// Bytes of a stream as text: a code point whose bytes come in two pieces stays whole.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "core/base/text.h"

namespace wrenn::cp::handlers {

class Utf8Carry {
 public:
  // What can be shown now; at most three bytes are kept for later. Malformed bytes stay in: the JSON writer
  // turns them into U+FFFD.
  std::string take(std::string_view bytes) {
    std::string text = std::exchange(carried_, {});
    text += bytes;
    const auto complete = complete_utf8_prefix(text);
    carried_ = text.substr(complete);
    text.resize(complete);
    return text;
  }
  // What never became whole.
  std::string rest() { return std::exchange(carried_, {}); }

 private:
  std::string carried_;
};

}  // namespace wrenn::cp::handlers
