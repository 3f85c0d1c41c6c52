// WholeBody: a body that was read before its handler was asked. routes.cpp says which are.
#pragma once

#include "core/http/body.h"
#include "core/http/message.h"

namespace wrenn::cp {

class WholeBody final : public http::Body {
 public:
  explicit WholeBody(std::string text) noexcept : text_(std::move(text)) {}
  const std::string& text() const noexcept { return text_; }

  async::Task<std::size_t> read_some(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const noexcept override { return text_.size() - at_; }

 private:
  const std::string text_;
  std::size_t at_ = 0;
};

// The text of a request whose body is a WholeBody; valid as long as that is.
const std::string& body_of(const http::Request& request);

}  // namespace wrenn::cp
