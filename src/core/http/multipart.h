// multipart/form-data (RFC 7578), streamed: parts come one after the other, each pulled. A body that ends
// without the closing boundary is an error, never a short success.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/http/body.h"
#include "core/http/headers.h"

namespace wrenn::http {

class Multipart {
 public:
  struct Part {
    std::string name;
    std::optional<std::string> filename;  // untrusted: any path, without NUL
    Headers headers;
  };

  // `body` outlives this object. Throws Error(invalid_argument) if `content_type` is not multipart/form-data
  // with a usable boundary.
  Multipart(Body& body, std::string_view content_type);
  Multipart(const Multipart&) = delete;
  Multipart& operator=(const Multipart&) = delete;

  // The next part, after skipping what is left of the current one; absent after the closing boundary, when
  // the body has been read to its end. Throws Error(invalid_argument) for what is no form data or ends too
  // early, Error(too_large) beyond limits::kMultipart*.
  Task<std::optional<Part>> next();
  // Bytes of the current part; 0 at its end. Throws Error(invalid_argument) when the body ends too early.
  Task<std::size_t> read_some(std::span<char> buffer);
  Task<std::string> read_all(std::uint64_t limit);  // of the current part; Error(too_large)

 private:
  Task<> fill();
  Task<std::string_view> content();
  bool at_delimiter() const noexcept;
  Task<bool> finish_delimiter();
  Task<Part> read_head();
  Task<> read_epilogue();
  std::string_view buffered() const noexcept { return {buffer_.get() + at_, end_ - at_}; }

  Body& body_;
  std::string delimiter_;  // "\r\n--boundary"
  std::unique_ptr<char[]> buffer_;
  std::size_t at_ = 0;  // received and not given out: [at_, end_)
  std::size_t end_ = 0;
  std::size_t known_ = 0;  // [at_, known_) is content for sure
  enum class State { preamble, part, delimiter, finished } state_ = State::preamble;
  std::size_t parts_ = 0;
};

// Writes the same format, for our own clients: head, content, head, content, …, tail. Each head brings the
// line break that ends what was before. Quotes and line breaks in names are percent-encoded, as browsers do.
// Throws Error(invalid_argument) on other control characters.
std::string multipart_head(std::string_view boundary, std::string_view name, std::string_view filename);
std::string multipart_tail(std::string_view boundary);

}  // namespace wrenn::http
