#include "core/compress/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

#include "core/base/error.h"

namespace wrenn::compress {

namespace {

constexpr int kGzipWindow = 15 + 16;  // 32 KiB; + 16: with the gzip frame (zlib.h, deflateInit2)
constexpr int kMemoryLevel = 8;       // zlib's default

// zlib counts in unsigned int.
uInt size_of(std::size_t bytes) noexcept {
  return static_cast<uInt>(std::min<std::size_t>(bytes, std::numeric_limits<uInt>::max()));
}

// Points `stream` at the buffers; zlib's input is not const but is not written either.
void aim(z_stream& stream, std::span<const char> input, std::span<char> output) noexcept {
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = size_of(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = size_of(output.size());
}

}  // namespace

struct GzipReader::State {
  z_stream stream{};
};

GzipReader::GzipReader() : state_(std::make_unique<State>()) {
  if (::inflateInit2(&state_->stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
}

GzipReader::~GzipReader() {
  ::inflateEnd(&state_->stream);
}

Progress GzipReader::step(std::span<const char> input, std::span<char> output) {
  z_stream& stream = state_->stream;
  aim(stream, input, output);
  const uInt given = stream.avail_in, room = stream.avail_out;
  while (stream.avail_out > 0) {
    if (at_end_) {
      if (stream.avail_in == 0) break;
      ::inflateReset(&stream);
      at_end_ = false;
    }
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      at_end_ = true;
    } else if (result == Z_BUF_ERROR) {
      break;  // nothing more can be done with this input
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != Z_OK) {
      throw_error(ErrorCode::invalid_argument, "the data is not valid gzip: {}",
                  stream.msg != nullptr ? stream.msg : "it asks for a dictionary");
    }
  }
  return {given - stream.avail_in, room - stream.avail_out};
}

struct GzipWriter::State {
  z_stream stream{};
};

GzipWriter::GzipWriter() : state_(std::make_unique<State>()) {
  if (::deflateInit2(&state_->stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
}

GzipWriter::~GzipWriter() {
  ::deflateEnd(&state_->stream);
}

Progress GzipWriter::step(std::span<const char> input, std::span<char> output) {
  z_stream& stream = state_->stream;
  aim(stream, input, output);
  const uInt given = stream.avail_in, room = stream.avail_out;
  if (given > 0 && room > 0) ::deflate(&stream, Z_NO_FLUSH);  // cannot fail with a stream that was made
  return {given - stream.avail_in, room - stream.avail_out};
}

std::size_t GzipWriter::finish(std::span<char> output) {
  z_stream& stream = state_->stream;
  aim(stream, {}, output);
  const uInt room = stream.avail_out;
  if (!ended_) ended_ = ::deflate(&stream, Z_FINISH) == Z_STREAM_END;
  return room - stream.avail_out;
}

}  // namespace wrenn::compress
