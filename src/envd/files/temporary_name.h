// Names of files that are being made beside their target. What is done with them is nobody's business:
// watchers do not tell of them, but of the file that appears in their place.
#pragma once

#include <string_view>

namespace wrenn::envd::files {

inline constexpr std::string_view kUploadPrefix = ".wrenn-upload-";         // takes the place of a file
inline constexpr std::string_view kNewUploadPrefix = ".wrenn-upload-new-";  // … or of nothing
inline constexpr std::string_view kMovePrefix = ".wrenn-move-";

constexpr bool is_upload(std::string_view name) noexcept {
  return name.starts_with(kUploadPrefix);
}
constexpr bool is_temporary(std::string_view name) noexcept {
  return is_upload(name) || name.starts_with(kMovePrefix);
}

}  // namespace wrenn::envd::files
