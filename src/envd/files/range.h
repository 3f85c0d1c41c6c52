// Which bytes of a file a GET asks for (RFC 9110 §14).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace wrenn::envd::files {

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

struct Selection {
  enum class Kind { whole, part, unsatisfiable };
  Kind kind = Kind::whole;
  ByteRange range;  // of the file; all of it when whole, nothing when unsatisfiable
};

// `field`: value of Range. Absent, malformed, of another unit, or more than one range: the whole file.
Selection select_range(std::optional<std::string_view> field, std::uint64_t size) noexcept;

}  // namespace wrenn::envd::files
