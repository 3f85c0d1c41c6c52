// Memory that direct reads and writes accept (open(2), O_DIRECT: "alignment restrictions").
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <span>

#include "envd/limits.h"

namespace wrenn::envd::files {

// Whether bytes of a transfer pass through the page cache. In a guest they should not: memory that a transfer does not
// touch is memory that a pause need not write, and an emulated guest moves them 5 to 10 times faster past it
// [measured].
enum class PageCache { use, avoid };

class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size)
      : data_(static_cast<char*>(operator new[](size, kAlignment))), size_(size) {}

  std::span<char> first(std::uint64_t bytes) noexcept {
    return {data_.get(), static_cast<std::size_t>(std::min<std::uint64_t>(bytes, size_))};
  }

 private:
  static constexpr std::align_val_t kAlignment{limits::kDirectAlignBytes};
  struct Free {
    void operator()(char* data) const noexcept { operator delete[](data, kAlignment); }
  };

  std::unique_ptr<char[], Free> data_;
  std::size_t size_;
};

// Direct transfers are in whole pieces; `at` is the place in the file.
inline bool fits_direct(std::span<const char> piece, std::uint64_t at) noexcept {
  return piece.size() == limits::kTransferBytes &&
         (reinterpret_cast<std::uintptr_t>(piece.data()) | at) % limits::kDirectAlignBytes == 0;
}

}  // namespace wrenn::envd::files
