// One buffer of fixed size, filled from the body and searched for the delimiter:
//
//        at_          known_                       end_
//   ──────┼─────────────┼─────────────────────────────┼───────────────
//   given │  content    │  may be (part of) a         │ free
//   out   │  for sure   │  delimiter                  │
//
// content() moves known_; what is behind it is at most one delimiter long before more is read, so memory is
// flat and each byte is searched about once. The start of the body is treated as if a line break stood before
// it, because the first delimiter may come without one.
#include "core/http/multipart.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/http/characters.h"
#include "core/http/field_value.h"

namespace wrenn::http {

namespace {

constexpr std::size_t kBufferBytes = limits::kTransferMostBytes;
// After the last delimiter, and before the first: nobody sends more than a line or two there.
constexpr std::size_t kMarginBytes = 64 * 1024;

static_assert(limits::kMultipartHeadBytes + limits::kMultipartBoundaryBytes + 16 < kBufferBytes);

[[noreturn]] void malformed(std::string_view why) {
  throw_error(ErrorCode::invalid_argument, "multipart body: {}", why);
}

// RFC 2046 §5.1.1.
bool is_boundary(std::string_view text) noexcept {
  constexpr std::string_view kAllowed =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ";
  return !text.empty() && text.size() <= limits::kMultipartBoundaryBytes && text.back() != ' ' &&
         text.find_first_not_of(kAllowed) == text.npos;
}

// The three characters that browsers percent-encode in names, and nothing else (WHATWG HTML,
// "multipart/form-data encoding algorithm"): '%' itself is sent as it is.
std::string decode_name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("%22") || text.starts_with("%0D") || text.starts_with("%0A")) {
      out += text[1] == '2' ? '"' : text[2] == 'D' ? '\r' : '\n';
      text.remove_prefix(3);
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string encode_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"') {
      out += "%22";
    } else if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else {
      out += c;
    }
  }
  if (!is_field_value(out))
    throw Error(ErrorCode::invalid_argument, "a name in a form may not hold control characters");
  return out;
}

// `head` is the lines of a head, each with its CRLF.
Headers parse_head(std::string_view head) {
  Headers headers;
  while (!head.empty()) {
    const auto end = head.find("\r\n");
    const auto line = head.substr(0, end);
    head.remove_prefix(end + 2);
    const auto colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon)))
      malformed("a part has a line that is no header field");
    const auto value = line.substr(colon + 1);
    if (!is_field_value(value)) malformed("a header field of a part has control characters");
    if (headers.fields().size() == limits::kHttpHeaderCount) malformed("a part has too many header fields");
    headers.add(line.substr(0, colon), value);
  }
  return headers;
}

Multipart::Part make_part(Headers headers) {
  Multipart::Part part;
  const auto dispositions = headers.all("Content-Disposition");
  if (dispositions.size() != 1) malformed("a part needs one Content-Disposition");
  const auto disposition = parse_field_value(dispositions.front());
  if (!disposition || disposition->value != "form-data")
    malformed("a part has a Content-Disposition that is not form-data with well-formed parameters");
  const auto* name = disposition->find("name");
  if (name == nullptr) malformed("a part has no name");
  part.name = decode_name(*name);
  if (const auto* filename = disposition->find("filename")) part.filename = decode_name(*filename);
  if (const auto* extended = disposition->find("filename*")) {
    part.filename = decode_extended(*extended);
    if (!part.filename) malformed("filename* is not UTF-8''… percent-encoded");
  }
  if (part.filename && part.filename->find('\0') != std::string::npos)
    malformed("a file name holds a NUL byte");
  part.headers = std::move(headers);
  return part;
}

}  // namespace

Multipart::Multipart(Body& body, std::string_view content_type) : body_(body) {
  const auto type = parse_field_value(content_type);
  if (!type || type->value != "multipart/form-data")
    throw Error(ErrorCode::invalid_argument, "expected Content-Type: multipart/form-data; boundary=…");
  const auto* boundary = type->find("boundary");
  if (boundary == nullptr || !is_boundary(*boundary))
    throw_error(ErrorCode::invalid_argument,
                "multipart/form-data needs a boundary of 1 to {} allowed characters",
                limits::kMultipartBoundaryBytes);
  delimiter_ = "\r\n--" + *boundary;
  buffer_.reset(new char[kBufferBytes]);
  std::memcpy(buffer_.get(), "\r\n", 2);
  end_ = 2;
}

// At least one byte more behind end_. Throws when the body ends: no caller can do without.
Task<> Multipart::fill() {
  if (at_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + at_, end_ - at_);
    known_ = known_ > at_ ? known_ - at_ : 0;
    end_ -= at_;
    at_ = 0;
  }
  const std::span<char> room(buffer_.get() + end_, kBufferBytes - end_);
  const auto count = co_await body_.read_some(room);
  if (count == 0) malformed("it ends before the closing boundary");
  end_ += count;
}

// With more than delimiter_.size() bytes buffered.
bool Multipart::at_delimiter() const noexcept {
  if (!buffered().starts_with(delimiter_)) return false;
  const char after = buffered()[delimiter_.size()];
  return after == '-' || after == '\r' || after == ' ' || after == '\t';
}

// Content that can be given out, at least a byte; empty when a delimiter stands at at_ (state_ is then
// delimiter).
Task<std::string_view> Multipart::content() {
  for (;;) {
    if (known_ > at_) co_return buffered().substr(0, known_ - at_);
    const auto rest = buffered();
    const auto* found =
        static_cast<const char*>(::memmem(rest.data(), rest.size(), delimiter_.data(), delimiter_.size()));
    if (found == nullptr) {
      // The last bytes may be the start of a delimiter.
      const auto kept = std::min(rest.size(), delimiter_.size() - 1);
      known_ = end_ - kept;
      if (known_ == at_) co_await fill();
    } else if (found != rest.data()) {
      known_ = at_ + static_cast<std::size_t>(found - rest.data());
    } else if (rest.size() == delimiter_.size()) {
      co_await fill();  // the next byte tells whether it is a delimiter or a longer line
    } else {
      if (at_delimiter()) {
        state_ = State::delimiter;
        co_return std::string_view();
      }
      known_ = at_ + delimiter_.size();  // a line that only begins like the delimiter
    }
  }
}

// Takes the delimiter and the rest of its line. False if it was the closing one.
Task<bool> Multipart::finish_delimiter() {
  at_ += delimiter_.size();
  while (buffered().size() < 2) co_await fill();
  if (buffered().starts_with("--")) {
    at_ += 2;
    co_return false;
  }
  for (std::size_t padding = 0;; ++padding) {
    while (buffered().size() < 2) co_await fill();
    if (buffered().starts_with("\r\n")) break;
    if (buffered().front() != ' ' && buffered().front() != '\t')
      malformed("a boundary is followed by something else");
    if (padding == limits::kMultipartHeadBytes) malformed("a boundary is followed by too much space");
    ++at_;
  }
  at_ += 2;
  co_return true;
}

Task<Multipart::Part> Multipart::read_head() {
  std::size_t searched = 0;
  for (;;) {
    // An empty head is CRLF alone; make_part() will miss its Content-Disposition.
    if (buffered().starts_with("\r\n")) break;
    const auto end = buffered().find("\r\n\r\n", searched);
    if (end != std::string_view::npos && end + 4 <= limits::kMultipartHeadBytes) {
      auto headers = parse_head(buffered().substr(0, end + 2));
      at_ += end + 4;
      known_ = at_;
      co_return make_part(std::move(headers));
    }
    if (buffered().size() >= limits::kMultipartHeadBytes)
      throw_error(ErrorCode::too_large, "multipart body: the head of a part is larger than {} bytes",
                  limits::kMultipartHeadBytes);
    searched = buffered().size() < 3 ? 0 : buffered().size() - 3;
    co_await fill();
  }
  malformed("a part has no header fields");
}

// Reads the body to its end, so that the connection can be used again.
Task<> Multipart::read_epilogue() {
  std::size_t margin = end_ - at_;
  for (;;) {
    if (margin > kMarginBytes)
      throw Error(ErrorCode::too_large, "multipart body: too much behind the last boundary");
    const std::span<char> room(buffer_.get(), kBufferBytes);
    const auto count = co_await body_.read_some(room);
    if (count == 0) co_return;
    margin += count;
  }
}

Task<std::optional<Multipart::Part>> Multipart::next() {
  if (state_ == State::finished) co_return std::nullopt;
  std::size_t skipped = 0;
  while (state_ != State::delimiter) {
    const auto piece = co_await content();
    at_ += piece.size();
    skipped += piece.size();
    if (state_ == State::preamble && skipped > kMarginBytes)
      throw Error(ErrorCode::too_large, "multipart body: too much before the first boundary");
  }
  if (!co_await finish_delimiter()) {
    state_ = State::finished;
    co_await read_epilogue();
    co_return std::nullopt;
  }
  if (++parts_ > limits::kMultipartParts)
    throw_error(ErrorCode::too_large, "multipart body: more than {} parts", limits::kMultipartParts);
  auto part = co_await read_head();
  // A part without content may end with the very line break that ends its head.
  at_ -= 2;
  while (buffered().size() <= delimiter_.size()) co_await fill();
  if (at_delimiter()) {
    state_ = State::delimiter;
  } else {
    at_ += 2;
    state_ = State::part;
  }
  known_ = at_;
  co_return part;
}

Task<std::size_t> Multipart::read_some(std::span<char> buffer) {
  if (state_ != State::part || buffer.empty()) co_return 0;
  const auto piece = co_await content();
  const auto count = std::min(piece.size(), buffer.size());
  std::copy_n(piece.data(), count, buffer.data());
  at_ += count;
  co_return count;
}

Task<std::string> Multipart::read_all(std::uint64_t limit) {
  std::string out;
  while (state_ == State::part) {
    const auto piece = co_await content();
    if (piece.size() > limit - out.size())
      throw_error(ErrorCode::too_large, "multipart body: a part is larger than {} bytes", limit);
    out += piece;
    at_ += piece.size();
  }
  co_return out;
}

std::string multipart_head(std::string_view boundary, std::string_view name, std::string_view filename) {
  const auto file =
      filename.empty() ? std::string() : fmt::format("; filename=\"{}\"", encode_name(filename));
  return fmt::format(
      "\r\n--{}\r\nContent-Disposition: form-data; name=\"{}\"{}\r\nContent-Type: "
      "application/octet-stream\r\n\r\n",
      boundary, encode_name(name), file);
}

std::string multipart_tail(std::string_view boundary) {
  return fmt::format("\r\n--{}--\r\n", boundary);
}

}  // namespace wrenn::http
