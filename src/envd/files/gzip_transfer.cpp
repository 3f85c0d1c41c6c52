#include "envd/files/gzip_transfer.h"

#include <algorithm>

#include "core/async/scope.h"
#include "core/base/error.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

using async::Task;

namespace {

// Packs on a pool thread.
class Packer {
 public:
  explicit Packer(Source source) : source_(std::move(source)) {}

  // Bytes put into `out`; 0 at the end. Returns early when much was read for little, so that the client sees
  // something.
  std::size_t fill(std::span<char> out) {
    std::size_t filled = 0;
    for (std::uint64_t read = 0; filled < out.size() && !writer_.ended() && read < kReadMost;) {
      const auto free = out.subspan(filled);
      if (piece_.empty() && !source_ended_) {
        piece_ = source_();
        source_ended_ = piece_.empty();
        read += piece_.size();
      }
      if (piece_.empty()) {
        filled += writer_.finish(free);
        continue;
      }
      const auto [consumed, produced] = writer_.step(piece_, free);
      piece_ = piece_.subspan(consumed);
      filled += produced;
    }
    return filled;
  }
  bool ended() const noexcept { return writer_.ended(); }

 private:
  static constexpr std::uint64_t kReadMost = 16 * 1024 * 1024;

  Source source_;
  compress::GzipWriter writer_;
  std::span<const char> piece_;
  bool source_ended_ = false;
};

struct Packed {
  std::unique_ptr<char[]> bytes = std::make_unique_for_overwrite<char[]>(limits::kTransferBytes);
  std::size_t size = 0;
  std::string_view text() const noexcept { return {bytes.get(), size}; }
};

Task<> pack(async::ThreadPool& threads, Packer& packer, Packed& packed) {
  auto work = [&packer, &packed] { packed.size = packer.fill({packed.bytes.get(), limits::kTransferBytes}); };
  co_await async::offload(threads, std::move(work));
}

Task<> write(http::BodyWriter& writer, const Packed& packed) {
  if (packed.size > 0) co_await writer.write(packed.text());
}

}  // namespace

GzipBody::GzipBody(http::Body& packed, async::ThreadPool& threads)
    : packed_(packed),
      threads_(threads),
      buffer_(std::make_unique_for_overwrite<char[]>(limits::kPackedReadBytes)) {}

Task<std::size_t> GzipBody::read_some(std::span<char> buffer) {
  for (;;) {
    if (at_ == end_ && !has_more_ && !ended_) {
      at_ = 0;
      end_ = co_await packed_.read_some({buffer_.get(), limits::kPackedReadBytes});
      ended_ = end_ == 0;
    }
    if (at_ == end_ && !has_more_ && ended_) {
      if (!reader_.at_end())
        throw_error(ErrorCode::invalid_argument, "the gzip data breaks off before its end");
      co_return 0;
    }
    const std::span<const char> input(buffer_.get() + at_, end_ - at_);
    auto work = [this, input, buffer] { return reader_.step(input, buffer); };
    const auto progress = co_await async::offload(threads_, std::move(work));
    at_ += progress.consumed;
    has_more_ = progress.produced == buffer.size();
    if (progress.produced > 0) co_return progress.produced;
  }
}

Task<std::string_view> PeekedBody::peek(std::size_t bytes) {
  first_.resize(bytes);
  std::size_t got = 0;
  while (got < bytes) {
    const std::span<char> free(first_.data() + got, bytes - got);
    const std::size_t more = co_await rest_.read_some(free);
    if (more == 0) break;
    got += more;
  }
  first_.resize(got);
  co_return first_;
}

Task<std::size_t> PeekedBody::read_some(std::span<char> buffer) {
  if (given_ == first_.size()) co_return co_await rest_.read_some(buffer);
  const std::size_t size = std::min(buffer.size(), first_.size() - given_);
  std::copy_n(first_.data() + given_, size, buffer.data());
  given_ += size;
  co_return size;
}

std::optional<std::uint64_t> PeekedBody::remaining() const noexcept {
  const auto rest = rest_.remaining();
  if (!rest) return std::nullopt;
  return *rest + (first_.size() - given_);
}

Task<> send_packed(http::BodyWriter& writer, async::ThreadPool& threads, Source source) {
  Packer packer(std::move(source));
  Packed going, coming;
  co_await pack(threads, packer, going);
  while (!packer.ended()) {
    auto writing = write(writer, going);
    auto packing = pack(threads, packer, coming);
    co_await async::both(std::move(writing), std::move(packing));
    std::swap(going, coming);
  }
  co_await write(writer, going);
}

}  // namespace wrenn::envd::files
