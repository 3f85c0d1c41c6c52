#include "core/http/connection_reader.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/limits.h"

namespace wrenn::http {

void ConnectionReader::consume(std::size_t count) noexcept {
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

Task<bool> ConnectionReader::fill() {
  if (end_ == capacity_) {
    const std::size_t size = end_ - begin_;
    if (begin_ > 0 && size <= capacity_ / 2) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, size);
    } else {
      const std::size_t capacity = std::max(limits::kHttpReadBufferBytes, size * 2);
      auto bytes = std::make_unique_for_overwrite<char[]>(capacity);
      if (size > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, size);
      bytes_ = std::move(bytes);
      capacity_ = capacity;
    }
    begin_ = 0;
    end_ = size;
  }
  const std::span<char> space(bytes_.get() + end_, capacity_ - end_);
  const std::size_t got = co_await stream_.read_some(space);
  end_ += got;
  co_return got > 0;
}

Task<std::size_t> ConnectionReader::read_some(std::span<char> into) {
  const auto ready = buffered();
  if (ready.empty()) co_return co_await stream_.read_some(into);
  const std::size_t count = std::min(ready.size(), into.size());
  std::memcpy(into.data(), ready.data(), count);
  consume(count);
  co_return count;
}

void ConnectionReader::shrink() noexcept {
  if (capacity_ <= limits::kHttpReadBufferBytes || begin_ != end_) return;
  bytes_.reset();
  capacity_ = begin_ = end_ = 0;
}

std::string ConnectionReader::take_buffered() {
  std::string bytes(buffered());
  consume(bytes.size());
  return bytes;
}

void FramedBody::begin(Framing framing) noexcept {
  framing_ = framing;
  left_ = framing.length;
  decoder_.reset();
  finished_ = framing.kind == Framing::Kind::none;
}

std::optional<std::uint64_t> FramedBody::remaining() const noexcept {
  if (finished_) return 0;
  if (framing_.kind == Framing::Kind::sized) return left_;
  return std::nullopt;
}

Task<std::size_t> FramedBody::read_some(std::span<char> buffer) {
  if (finished_ || buffer.empty()) co_return 0;
  if (framing_.kind == Framing::Kind::chunked) co_return co_await read_chunked(buffer);
  const bool sized = framing_.kind == Framing::Kind::sized;
  if (sized && buffer.size() > left_) buffer = buffer.first(static_cast<std::size_t>(left_));
  const std::size_t got = co_await reader_.read_some(buffer);
  if (got == 0) {
    if (sized) throw_error(ErrorCode::unavailable, "the body breaks off, {} bytes before its end", left_);
    finished_ = true;
    co_return 0;
  }
  if (sized) {
    left_ -= got;
    finished_ = left_ == 0;
  }
  co_return got;
}

Task<std::size_t> FramedBody::read_chunked(std::span<char> buffer) {
  for (;;) {
    if (reader_.buffered().empty() && decoder_.chunk_left() > 0) {
      // Inside a chunk, with nothing buffered: no need to copy.
      const auto most = std::min<std::uint64_t>(buffer.size(), decoder_.chunk_left());
      const std::size_t got = co_await reader_.read_some(buffer.first(static_cast<std::size_t>(most)));
      if (got == 0) throw Error(ErrorCode::unavailable, "the body breaks off inside a chunk");
      decoder_.skip(got);
      co_return got;
    }
    // No more than the buffer holds of a chunk, but all of what stands around chunks.
    auto input = reader_.buffered();
    if (decoder_.chunk_left() > 0) input = input.substr(0, buffer.size());
    const auto step = decoder_.next(input);
    const std::size_t count = std::min(step.data.size(), buffer.size());
    if (count > 0) std::memcpy(buffer.data(), step.data.data(), count);
    // A chunk that began in this step may be longer than the buffer: its rest stays buffered.
    decoder_.give_back(step.data.size() - count);
    reader_.consume(step.consumed - (step.data.size() - count));
    if (step.refused) throw_error(ErrorCode::invalid_argument, "{}", decoder_.refusal().reason);
    if (step.done) {
      finished_ = true;
      co_return 0;
    }
    if (count > 0) co_return count;
    if (step.consumed == 0 && !co_await reader_.fill())
      throw Error(ErrorCode::unavailable, "the body breaks off before its last chunk");
  }
}

}  // namespace wrenn::http
