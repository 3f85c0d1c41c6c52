// gzip on the way of /files, both ways: piece by piece on pool threads, so that what expands to gigabytes (by
// accident or to do harm) stands on the disk only.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "core/async/offload.h"
#include "core/compress/gzip.h"
#include "core/http/body.h"
#include "core/http/reply.h"

namespace wrenn::envd::files {

// A body whose bytes are gzip, as what they stand for.
class GzipBody final : public http::Body {
 public:
  // Both must outlive this.
  GzipBody(http::Body& packed, async::ThreadPool& threads);

  // As Body::read_some(); also Error(invalid_argument) for what is no gzip or ends too early.
  async::Task<std::size_t> read_some(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const noexcept override { return std::nullopt; }

 private:
  http::Body& packed_;
  async::ThreadPool& threads_;
  compress::GzipReader reader_;
  std::unique_ptr<char[]> buffer_;
  std::size_t at_ = 0;  // received and not unpacked: [at_, end_)
  std::size_t end_ = 0;
  bool has_more_ = false;  // the last step filled its output
  bool ended_ = false;
};

// A body of which the first bytes have been looked at.
class PeekedBody final : public http::Body {
 public:
  explicit PeekedBody(http::Body& rest) : rest_(rest) {}  // must outlive this

  // The first `bytes`, or what there is. Once, before anything is read; throws as Body::read_some().
  async::Task<std::string_view> peek(std::size_t bytes);
  async::Task<std::size_t> read_some(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const noexcept override;

 private:
  http::Body& rest_;
  std::string first_;
  std::size_t given_ = 0;
};

// The next piece of what is to be sent, empty at the end; valid until the next call. Called on pool threads.
using Source = std::function<std::span<const char>()>;

// Sends all of `source` packed, reading and packing ahead while the client takes its time. Throws what
// `source` and the writer throw.
async::Task<> send_packed(http::BodyWriter& writer, async::ThreadPool& threads, Source source);

}  // namespace wrenn::envd::files
