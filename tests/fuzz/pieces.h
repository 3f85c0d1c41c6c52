// What the stream fuzzers share: the input cut into pieces, and a loop to run a coroutine on.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "core/async/asio.h"
#include "core/http/body.h"

namespace wrenn::fuzz {

// Gives `data` in pieces of at most `piece` bytes.
class PieceBody final : public http::Body {
 public:
  PieceBody(std::string_view data, std::size_t piece) : data_(data), piece_(piece) {}

  async::Task<std::size_t> read_some(std::span<char> buffer) override {
    if (buffer.empty()) std::abort();  // "0 bytes" would read as the end
    const auto count = std::min({buffer.size(), data_.size(), piece_});
    std::copy_n(data_.data(), count, buffer.data());
    data_.remove_prefix(count);
    co_return count;
  }
  std::optional<std::uint64_t> remaining() const noexcept override { return std::nullopt; }

 private:
  std::string_view data_;
  std::size_t piece_;
};

// The task must end without waiting for anything outside.
inline void run(async::Task<> task) {
  static asio::io_context loop;
  std::exception_ptr error;
  bool ended = false;
  loop.restart();
  asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failed) {
    error = failed;
    ended = true;
  });
  loop.run();
  if (!ended) std::abort();
  if (error) std::rethrow_exception(error);
}

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

}  // namespace wrenn::fuzz
