#include "core/http/body.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/limits.h"

namespace wrenn::http {

Task<std::string> Body::read_all(std::uint64_t limit) {
  const auto told = remaining();
  if (told && *told > limit)
    throw_error(ErrorCode::too_large, "the body has {} bytes; at most {} are accepted here", *told, limit);
  // What the peer announces is not yet worth memory: the string grows with what arrives.
  std::string data;
  std::size_t size = 0;
  for (;;) {
    if (size == data.size()) {
      const std::size_t step = std::max<std::size_t>(size, limits::kHttpReadBufferBytes);
      const std::size_t wanted = told ? std::min<std::uint64_t>(size + step, *told + 1) : size + step;
      data.resize(std::max(wanted, size + 1));
    }
    const std::span<char> space(data.data() + size, data.size() - size);
    const std::size_t got = co_await read_some(space);
    if (got == 0) break;
    size += got;
    if (size > limit)
      throw_error(ErrorCode::too_large, "the body has more than the {} bytes accepted here", limit);
  }
  data.resize(size);
  co_return data;
}

Task<std::size_t> StringBody::read_some(std::span<char> buffer) {
  const std::size_t count = std::min(buffer.size(), data_.size() - at_);
  std::copy_n(data_.data() + at_, count, buffer.data());
  at_ += count;
  co_return count;
}

}  // namespace wrenn::http
