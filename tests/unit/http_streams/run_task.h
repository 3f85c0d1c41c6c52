// Runs coroutines in tests, and bodies that come in pieces.
#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/async/asio.h"
#include "core/async/task.h"
#include "core/async/timeout.h"
#include "core/http/body.h"

namespace wrenn::test {

// The result of `task` on a loop of its own; a task that has not ended after 20 s fails the test.
template <typename T>
T run(async::Task<T> task) {
  asio::io_context loop;
  std::exception_ptr error;
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> result;
  const auto keep = [&](std::exception_ptr failed, auto... value) {
    error = failed;
    if constexpr (!std::is_void_v<T>) {
      if (!failed) result.emplace(std::move(value)...);
    } else {
      result = true;
    }
  };
  if constexpr (std::is_void_v<T>) {
    asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failed) { keep(failed); });
  } else {
    asio::co_spawn(loop, std::move(task),
                   [&](std::exception_ptr failed, T value) { keep(failed, std::move(value)); });
  }
  loop.run_for(std::chrono::seconds(20));
  if (error) std::rethrow_exception(error);
  REQUIRE(result.has_value());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Gives its data in the pieces it was told, then the end.
class PiecesBody final : public http::Body {
 public:
  explicit PiecesBody(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}

  async::Task<std::size_t> read_some(std::span<char> buffer) override {
    REQUIRE_FALSE(buffer.empty());
    while (at_ < pieces_.size() && pieces_[at_].empty()) ++at_;
    if (at_ == pieces_.size()) co_return 0;
    auto& piece = pieces_[at_];
    const auto count = std::min(buffer.size(), piece.size());
    std::copy_n(piece.data(), count, buffer.data());
    piece.erase(0, count);
    co_return count;
  }
  std::optional<std::uint64_t> remaining() const noexcept override { return std::nullopt; }

 private:
  std::vector<std::string> pieces_;
  std::size_t at_ = 0;
};

inline std::vector<std::string> cut_at(std::string_view data, std::size_t at) {
  return {std::string(data.substr(0, at)), std::string(data.substr(at))};
}

inline std::vector<std::string> byte_by_byte(std::string_view data) {
  std::vector<std::string> out;
  for (const char c : data) out.emplace_back(1, c);
  return out;
}

inline std::vector<std::string> cut_at_random(std::string_view data, std::mt19937& random) {
  std::vector<std::string> out;
  while (!data.empty()) {
    const auto size = std::min<std::size_t>(data.size(), 1 + random() % (1 + random() % 200));
    out.emplace_back(data.substr(0, size));
    data.remove_prefix(size);
  }
  return out;
}

}  // namespace wrenn::test
