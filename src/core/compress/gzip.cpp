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
// Of so much input it is seen whether packing is worth it, that is, whether less than kWorthBytes come out of
// it (zlib holds back 3 %). If not, kStoreBytes are stored until the next try.
constexpr std::size_t kTryBytes = 1024 * 1024;
constexpr std::size_t kWorthBytes = kTryBytes / 100 * 92;
constexpr std::size_t kStoreBytes = 32 * 1024 * 1024;

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

GzipWriter::GzipWriter() : state_(std::make_unique<State>()), window_left_(kTryBytes) {
  if (::deflateInit2(&state_->stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
}

GzipWriter::~GzipWriter() {
  ::deflateEnd(&state_->stream);
}

// A window has ended: goes on with what it showed. False when `output` is too small for what is pending.
bool GzipWriter::turn(std::span<char> output, Progress& progress) {
  const bool pack_on = !packing_ || window_out_ < kWorthBytes;
  if (pack_on != packing_) {
    z_stream& stream = state_->stream;
    aim(stream, {}, output);
    const uInt room = stream.avail_out;
    const int result =
        ::deflateParams(&stream, pack_on ? Z_BEST_SPEED : Z_NO_COMPRESSION, Z_DEFAULT_STRATEGY);
    progress.produced += room - stream.avail_out;
    if (result == Z_BUF_ERROR) return false;
  }
  packing_ = pack_on;
  window_left_ = pack_on ? kTryBytes : kStoreBytes;
  window_out_ = 0;
  return true;
}

Progress GzipWriter::step(std::span<const char> input, std::span<char> output) {
  z_stream& stream = state_->stream;
  Progress progress;
  while (progress.consumed < input.size() && progress.produced < output.size()) {
    if (window_left_ == 0 && !turn(output.subspan(progress.produced), progress)) break;
    if (progress.produced == output.size()) break;
    const std::size_t size = std::min(window_left_, input.size() - progress.consumed);
    aim(stream, input.subspan(progress.consumed, size), output.subspan(progress.produced));
    const uInt given = stream.avail_in, room = stream.avail_out;
    ::deflate(&stream, Z_NO_FLUSH);  // cannot fail with a stream that was made
    progress.consumed += given - stream.avail_in;
    progress.produced += room - stream.avail_out;
    window_left_ -= given - stream.avail_in;
    window_out_ += room - stream.avail_out;
  }
  return progress;
}

std::size_t GzipWriter::finish(std::span<char> output) {
  z_stream& stream = state_->stream;
  aim(stream, {}, output);
  const uInt room = stream.avail_out;
  if (!ended_) ended_ = ::deflate(&stream, Z_FINISH) == Z_STREAM_END;
  return room - stream.avail_out;
}

}  // namespace wrenn::compress
