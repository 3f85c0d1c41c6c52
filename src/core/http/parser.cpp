#include "core/http/parser.h"

#include <cstring>

#include "core/base/text.h"
#include "core/http/characters.h"

namespace wrenn::http {

namespace {

// Digits only, at most 2^63 - 1, so that sums and signed offsets stay in range.
bool read_length(std::string_view text, std::uint64_t& out) noexcept {
  if (text.empty() || text.size() > 19) return false;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  out = value;
  return value <= static_cast<std::uint64_t>(INT64_MAX);
}

std::string_view trim_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// host [ ":" port ], the host a name or an IPv4 address or an IPv6 address in brackets.
bool is_host_field(std::string_view value) noexcept {
  if (!has_host_characters(value)) return false;
  std::string_view port;
  if (value.front() == '[') {
    const auto end = value.find(']');
    if (end == value.npos || end == 1) return false;
    if (value.substr(1, end - 1).find_first_not_of("0123456789abcdefABCDEF:.") != value.npos) return false;
    port = value.substr(end + 1);
    if (!port.empty() && port.front() != ':') return false;
    if (!port.empty()) port.remove_prefix(1);
  } else {
    const auto colon = value.find(':');
    if (colon == 0 || value.find_first_of("[]") != value.npos) return false;
    if (colon != value.npos) port = value.substr(colon + 1);
  }
  return port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos;
}

}  // namespace

FieldReader::Result FieldReader::refuse(int status, std::string_view reason) noexcept {
  refusal_ = {status, reason};
  return Result::refused;
}

void FieldReader::restart() noexcept {
  refusal_ = {};
  at_ = scanned_ = 0;
  fields_ = 0;
  hosts_ = lengths_ = codings_ = 0;
  chunked_ = close_ = keep_alive_token_ = expects_continue_ = expects_other_ = false;
  length_ = 0;
}

std::string_view FieldReader::next_line(std::string_view bytes, bool& refused) {
  const char* from = bytes.data() + scanned_;
  const auto* feed = static_cast<const char*>(std::memchr(from, '\n', bytes.size() - scanned_));
  if (feed == nullptr) {
    scanned_ = bytes.size();
    if (bytes.size() >= limits_.head_bytes) {
      refuse(431, "the message head is too long");
      refused = true;
    }
    return {};
  }
  const auto end = static_cast<std::size_t>(feed - bytes.data());
  if (end + 1 > limits_.head_bytes) {
    refuse(431, "the message head is too long");
    refused = true;
    return {};
  }
  if (end == at_ || bytes[end - 1] != '\r') {
    refuse(400, "a line does not end with CR LF");
    refused = true;
    return {};
  }
  const auto line = bytes.substr(at_, end - 1 - at_);
  at_ = scanned_ = end + 1;
  return line;
}

bool FieldReader::read_field(std::string_view line, Headers& headers) {
  std::size_t colon = 0;
  while (colon < line.size() && is_token_char(line[colon])) ++colon;
  if (colon == 0 && (line.front() == ' ' || line.front() == '\t'))
    return refuse(400, "a header field is folded over lines"), false;
  if (colon == 0) return refuse(400, "a header field has no name"), false;
  if (colon == line.size() || line[colon] != ':')
    return refuse(400, "the name of a header field has a character that no name has, or no colon after it"),
           false;
  const auto name = line.substr(0, colon);
  const auto value = trim_blanks(line.substr(colon + 1));
  if (!is_field_value(value))
    return refuse(400, "the value of a header field has a control character"), false;
  // Legal, but not every reader trims tabs, and the ends of bodies must be the same for all of them.
  const bool frames = (name.size() == 14 && equals_ignoring_case(name, "content-length")) ||
                      (name.size() == 17 && equals_ignoring_case(name, "transfer-encoding"));
  if (frames && line.find('\t', colon) != line.npos)
    return refuse(400, "a tab stands in Content-Length or Transfer-Encoding"), false;
  if (++fields_ > limits_.header_count) return refuse(431, "there are too many header fields"), false;

  switch (name.size()) {
    case 4:
      if (equals_ignoring_case(name, "host")) {
        ++hosts_;
        if (!is_host_field(value)) return refuse(400, "the Host field is malformed"), false;
      }
      break;
    case 6:
      if (equals_ignoring_case(name, "expect"))
        (equals_ignoring_case(value, "100-continue") ? expects_continue_ : expects_other_) = true;
      break;
    case 14:
      if (frames) {
        if (++lengths_ > 1) return refuse(400, "Content-Length is given more than once"), false;
        if (!read_length(value, length_)) return refuse(400, "Content-Length is not a number"), false;
      }
      break;
    case 17:
      if (frames) {
        if (++codings_ > 1) return refuse(400, "Transfer-Encoding is given more than once"), false;
        chunked_ = equals_ignoring_case(value, "chunked");
      }
      break;
    default:
      break;
  }
  headers.add_checked(name, value);
  if (name.size() == 10 && equals_ignoring_case(name, "connection")) {
    close_ = headers.has_token("connection", "close");
    keep_alive_token_ = headers.has_token("connection", "keep-alive");
  }
  return true;
}

bool FieldReader::check_fields(int minor_version) {
  if (codings_ > 0 && lengths_ > 0)
    return refuse(400, "Transfer-Encoding and Content-Length are both given"), false;
  if (codings_ > 0 && !chunked_) return refuse(501, "the only transfer coding understood is chunked"), false;
  if (codings_ > 0 && minor_version == 0) return refuse(400, "HTTP/1.0 has no Transfer-Encoding"), false;
  return true;
}

// ---- requests ----

void RequestParser::reset() noexcept {
  restart();
  begun_ = have_line_ = skipped_empty_line_ = keep_alive_ = false;
  authority_.clear();
  framing_ = {};
}

FieldReader::Result RequestParser::parse(std::string_view bytes, Request& request) {
  for (;;) {
    bool refused = false;
    const auto line = next_line(bytes, refused);
    if (!have_line_) {
      // What is no HTTP at all (a TLS hello, say) is refused at its first byte and not only at a line end.
      if (at_ < bytes.size() && line.data() == nullptr && !is_token_char(bytes[at_]) && bytes[at_] != '\r')
        return refuse(400, "this is no HTTP request");
      begun_ = begun_ || at_ < bytes.size() || !line.empty();
      const std::size_t line_bytes_max =
          limits_.target_bytes + limits::kHttpMethodBytes + sizeof(" HTTP/1.1 \r\n");
      if (refused ? refusal_.status == 431 : line.data() == nullptr && bytes.size() - at_ > line_bytes_max)
        return refuse(414, "the request target is too long");
    }
    if (refused) return Result::refused;
    if (line.data() == nullptr) return Result::more;

    if (!have_line_) {
      // One empty line before a request is forgiven, as RFC 9112 §2.2 asks; more is noise.
      if (line.empty()) {
        if (skipped_empty_line_) return refuse(400, "empty lines stand before the request");
        skipped_empty_line_ = true;
        continue;
      }
      if (!read_request_line(line, request)) return Result::refused;
      have_line_ = true;
      continue;
    }
    if (!line.empty()) {
      if (!read_field(line, request.headers)) return Result::refused;
      continue;
    }

    if (!check_fields(request.minor_version)) return Result::refused;
    if (hosts_ > 1) return refuse(400, "Host is given more than once");
    if (hosts_ == 0 && request.minor_version >= 1) return refuse(400, "the Host field is missing");
    if (request.minor_version == 0) expects_continue_ = false;
    if (expects_other_) return refuse(417, "the only expectation understood is 100-continue");
    if (!authority_.empty()) request.headers.set("Host", authority_);
    keep_alive_ = !close_ && (request.minor_version >= 1 || keep_alive_token_);
    if (codings_ > 0) {
      framing_ = {Framing::Kind::chunked, 0};
    } else if (lengths_ > 0 && length_ > 0) {
      framing_ = {Framing::Kind::sized, length_};
    }
    // Nobody waits with a body that is empty.
    if (framing_.kind == Framing::Kind::none) expects_continue_ = false;
    return Result::done;
  }
}

bool RequestParser::read_request_line(std::string_view line, Request& request) {
  std::size_t space = 0;
  while (space < line.size() && is_token_char(line[space])) ++space;
  // The same words as at the first byte: however the bytes arrive, the answer is one.
  if (space == 0) return refuse(400, "this is no HTTP request"), false;
  if (space == line.size() || line[space] != ' ')
    return refuse(400, "the request line does not begin with a method"), false;
  if (space > limits::kHttpMethodBytes) return refuse(400, "the method is too long"), false;
  const auto method = line.substr(0, space);
  const auto rest = line.substr(space + 1);
  const auto end = rest.find(' ');
  if (end == rest.npos) return refuse(400, "the request line has no version"), false;
  const auto target = rest.substr(0, end);
  const auto version = rest.substr(end + 1);
  if (target.size() > limits_.target_bytes) return refuse(414, "the request target is too long"), false;
  if (!is_target(target)) return refuse(400, "the request target has a character that no target has"), false;

  const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") && version[5] >= '0' &&
                           version[5] <= '9' && version[6] == '.' && version[7] >= '0' && version[7] <= '9';
  if (!well_formed) return refuse(400, "the request line has no version"), false;
  if (version[5] != '1' || version[7] > '1')
    return refuse(505, "the versions understood are 1.0 and 1.1"), false;
  request.minor_version = version[7] - '0';
  request.method = method;
  return read_target(target, request);
}

bool RequestParser::read_target(std::string_view target, Request& request) {
  if (target.front() == '/') {
    // origin-form, the usual one
  } else if (target == "*") {
    if (request.method != "OPTIONS") return refuse(400, "the target * is for OPTIONS only"), false;
  } else if (request.method == "CONNECT") {
    return refuse(501, "CONNECT is not offered"), false;
  } else {
    // absolute-form, as sent to proxies: reduced to its path, its authority replacing Host (RFC 9112 §3.2.2).
    const auto scheme_end = target.find("://");
    const auto scheme = target.substr(0, scheme_end == target.npos ? 0 : scheme_end);
    if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https"))
      return refuse(400, "the request target is neither a path nor a URL"), false;
    const auto after = target.substr(scheme_end + 3);
    const auto authority = after.substr(0, after.find_first_of("/?"));
    if (!is_host_field(authority)) return refuse(400, "the host of the request target is malformed"), false;
    authority_ = authority;
    const auto path = after.substr(authority.size());
    request.target = path.starts_with('/') ? std::string(path) : "/" + std::string(path);
    target = request.target;
  }
  if (request.target.data() != target.data()) request.target = target;
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  request.query = question == target.npos ? std::string_view() : target.substr(question + 1);
  return true;
}

// ---- answers ----

void ResponseParser::reset() noexcept {
  restart();
  have_line_ = keep_alive_ = false;
}

FieldReader::Result ResponseParser::parse(std::string_view bytes, ResponseHead& head) {
  for (;;) {
    bool refused = false;
    const auto line = next_line(bytes, refused);
    if (refused) return Result::refused;
    if (line.data() == nullptr) return Result::more;
    if (!have_line_) {
      if (!read_status_line(line, head)) return Result::refused;
      have_line_ = true;
      continue;
    }
    if (!line.empty()) {
      if (!read_field(line, head.headers)) return Result::refused;
      continue;
    }
    if (!check_fields(head.minor_version)) return Result::refused;
    keep_alive_ = !close_ && (head.minor_version >= 1 || keep_alive_token_);
    return Result::done;
  }
}

bool ResponseParser::read_status_line(std::string_view line, ResponseHead& head) {
  const bool version = line.size() >= 12 && line.starts_with("HTTP/1.") &&
                       (line[7] == '0' || line[7] == '1') && line[8] == ' ';
  if (!version) return refuse(400, "the answer is not HTTP/1"), false;
  int status = 0;
  for (const char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return refuse(400, "the status of the answer is not a number"), false;
    status = status * 10 + (c - '0');
  }
  if (status < 100) return refuse(400, "the status of the answer is not a number"), false;
  // Many servers leave out the space when they have no phrase.
  if (line.size() > 12 && line[12] != ' ')
    return refuse(400, "the status of the answer is not a number"), false;
  const auto reason = line.size() > 12 ? line.substr(13) : std::string_view();
  if (!is_field_value(reason)) return refuse(400, "the status line has a control character"), false;
  head.status = status;
  head.minor_version = line[7] - '0';
  head.reason = reason;
  return true;
}

Framing ResponseParser::framing(std::string_view request_method, int status) const noexcept {
  if (request_method == "HEAD" || status < 200 || status == 204 || status == 304) return {};
  if (codings_ > 0) return {Framing::Kind::chunked, 0};
  if (lengths_ > 0) return length_ > 0 ? Framing{Framing::Kind::sized, length_} : Framing{};
  return {Framing::Kind::until_close, 0};
}

}  // namespace wrenn::http
