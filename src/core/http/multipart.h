// multipart/form-data (RFC 7578), streamed: parts come one after the other, each pulled. A body that ends without the
// closing boundary is an error, never a short success.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/http/body.h"
#include "core/http/headers.h"

namespace wrenn::http {

class Multipart {
 public:
  struct Part {
    std::string name;
    std::optional<std::string> filename;  // as sent, untrusted
    Headers headers;
  };

  // Throws Error(invalid_argument) if `content_type` is not multipart/form-data with a usable boundary.
  Multipart(Body& body, std::string_view content_type);

  // The next part, after skipping what is left of the current one; absent after the closing boundary.
  Task<std::optional<Part>> next();
  // Bytes of the current part; 0 at its end. Throws Error(invalid_argument) when the body ends too early.
  Task<std::size_t> read_some(std::span<char> buffer);
  Task<std::string> read_all(std::uint64_t limit);  // of the current part; Error(too_large)

 private:
  Task<bool> fill();

  Body& body_;
  std::string delimiter_;  // "\r\n--boundary"
  std::string buffer_;
  std::size_t at_ = 0;
  bool in_part_ = false;
  bool finished_ = false;
  bool body_ended_ = false;
  std::size_t parts_ = 0;
};

// Writes the same format, for our own clients. Throws Error(invalid_argument) on CR, LF or quotes in names.
std::string multipart_head(std::string_view boundary, std::string_view name, std::string_view filename);
std::string multipart_tail(std::string_view boundary);

}  // namespace wrenn::http
