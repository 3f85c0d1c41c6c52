// Body: the pulled body of a message. Nothing is read from the socket until the handler asks, so
// back-pressure reaches the sender.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/async/task.h"

namespace wrenn::http {

using async::Task;

class Body {
 public:
  virtual ~Body() = default;

  // At least one byte; 0 at the end of the body, then always 0. Throws Error(invalid_argument) on bad
  // framing, Error(unavailable) when the peer breaks off before the end, Error(deadline_exceeded) when it
  // stalls.
  virtual Task<std::size_t> read_some(std::span<char> buffer) = 0;

  // Bytes still to come, when the framing told.
  virtual std::optional<std::uint64_t> remaining() const noexcept = 0;

  // Everything that is left; Error(too_large) when it is more than `limit` bytes.
  Task<std::string> read_all(std::uint64_t limit);
};

// A body in memory, for tests and for reuse of parsers.
class StringBody final : public Body {
 public:
  explicit StringBody(std::string data) : data_(std::move(data)) {}
  Task<std::size_t> read_some(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const noexcept override { return data_.size() - at_; }

 private:
  std::string data_;
  std::size_t at_ = 0;
};

}  // namespace wrenn::http
