// TransferBuffer: room for passing bytes on. It starts small, because most streams are silent for most of
// their time and there are many of them; it grows while the reads fill it, because a bulk transfer pays for
// every read and write, most of all where the other end is an emulated guest.
//
//   TransferBuffer buffer;
//   for (;;) {
//     const std::string_view data = buffer.took(co_await from.read_some(buffer.space()));
//     if (data.empty()) break;
//     co_await to.write(data);
//   }
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/limits.h"

namespace wrenn::net {

class TransferBuffer {
 public:
  // Throw nothing but for memory.
  TransferBuffer() { resize(limits::kTransferFirstBytes); }

  // For the next read; what the last one brought is no longer needed.
  std::span<char> space() {
    if (got_ == size_ && size_ < limits::kTransferMostBytes)
      resize(std::min(size_ * 4, limits::kTransferMostBytes));
    return {bytes_.get(), size_};
  }
  // What a read has put into space(); valid until the next space().
  std::string_view took(std::size_t got) noexcept {
    got_ = got;
    return {bytes_.get(), got};
  }

 private:
  void resize(std::size_t size) {
    bytes_.reset();
    bytes_ = std::make_unique_for_overwrite<char[]>(size);
    size_ = size;
    got_ = 0;
  }

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t got_ = 0;
};

}  // namespace wrenn::net
