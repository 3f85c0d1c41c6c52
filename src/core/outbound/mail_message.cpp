#include "core/outbound/mail_message.h"

#include <ctime>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/outbound/limits.h"

namespace wrenn::outbound {

namespace {

constexpr std::size_t kEncodedLine = 76;  // RFC 2045 §6.7 (5), RFC 2047 §2
// Bytes in one encoded word: with "=?UTF-8?B?", "?=" and the longest field name in front it fits into
// kEncodedLine.
constexpr std::size_t kWordBytes = 39;
constexpr std::size_t kPlainBytes = 60;  // a subject or name of ASCII that needs no second line

bool is_plain(char c) noexcept {
  return c >= 0x20 && c < 0x7f;
}

// One line of valid UTF-8 without control characters.
std::string clean_header(std::string_view text) {
  std::string out;
  const auto cut = text.substr(0, complete_utf8_prefix(text.substr(0, limits::kMailHeaderBytes)));
  for (const char c : sanitize_utf8(cut)) {
    if (c == '\r' || c == '\n') continue;
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return std::string(trim(out));
}

bool needs_encoding(std::string_view text) noexcept {
  for (const char c : text)
    if (!is_plain(c)) return true;
  return text.size() > kPlainBytes || text.find("=?") != text.npos;
}

// RFC 2047 §2: encoded words, one a line. No character is divided between two of them.
std::string encoded_words(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto piece = text.substr(0, complete_utf8_prefix(text.substr(0, kWordBytes)));
    out += fmt::format("{}=?UTF-8?B?{}?=", out.empty() ? "" : "\r\n ", base64_encode(piece));
    text.remove_prefix(piece.size());
  }
  return out;
}

std::string subject_text(std::string_view subject) {
  const auto clean = clean_header(subject);
  return needs_encoding(clean) ? encoded_words(clean) : clean;
}

std::string mailbox_text(const Mailbox& mailbox) {
  const auto address = clean_address(mailbox.address);
  const auto name = clean_header(mailbox.name);
  if (name.empty()) return address;
  std::string quoted;  // RFC 5322 §3.2.4
  for (const char c : name) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  if (needs_encoding(name) || quoted.size() > kPlainBytes)
    return fmt::format("{}\r\n <{}>", encoded_words(name), address);
  const std::string_view between = quoted.size() + address.size() > kPlainBytes ? "\r\n " : " ";
  return fmt::format("\"{}\"{}<{}>", quoted, between, address);
}

std::string date_text(UnixTime at) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = at.seconds();
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} +0000", kDays[utc.tm_wday], utc.tm_mday,
                     kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

// RFC 2045 §6.7. Also encodes what some servers on the way would change: a dot and the word From at the begin
// of a line, spaces at its end.
class QuotedPrintable {
 public:
  void add_line(std::string_view line) {
    column_ = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      const bool last = i + 1 == line.size();
      const bool fragile = (c == '.' && column_ == 0) ||
                           (column_ == 0 && line.substr(i).starts_with("From ")) ||
                           (last && (c == ' ' || c == '\t'));
      const bool as_it_is = (is_plain(c) || c == '\t') && c != '=' && !fragile;
      if (column_ + (as_it_is ? 1 : 3) > kEncodedLine - (last ? 0 : 1)) {
        out_ += "=\r\n";
        column_ = 0;
        --i;  // again, at the begin of a line
        continue;
      }
      if (as_it_is) {
        out_ += c;
        ++column_;
      } else {
        out_ += fmt::format("={:02X}", static_cast<unsigned char>(c));
        column_ += 3;
      }
    }
    out_ += "\r\n";
  }

  std::string take() noexcept { return std::move(out_); }

 private:
  std::string out_;
  std::size_t column_ = 0;
};

std::string quoted_printable(std::string_view text) {
  const auto clean = sanitize_utf8(text);
  QuotedPrintable out;
  for (std::size_t at = 0; at < clean.size();) {
    const auto end = std::min(clean.find_first_of("\r\n", at), clean.size());
    out.add_line(std::string_view(clean).substr(at, end - at));
    at = end + (clean.compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  return out.take();
}

std::string part(std::string_view type, std::string_view content) {
  return fmt::format(
      "Content-Type: {}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}", type,
      quoted_printable(content));
}

}  // namespace

std::string clean_address(std::string_view address) {
  std::string joined;
  for (const char c : address)
    if (c != '\r' && c != '\n') joined += c;
  std::string clean(trim(joined));
  const auto refuse = [&](std::string_view why) {
    throw_error(ErrorCode::invalid_argument, "\"{}\" is no mail address: {}; it looks like name@example.com",
                sanitize_utf8(clean.substr(0, limits::kMailAddressBytes)), why);
  };
  if (clean.size() > limits::kMailAddressBytes)
    refuse(fmt::format("it has more than {} bytes", limits::kMailAddressBytes));
  const auto sign = clean.find('@');
  if (sign == 0 || sign == clean.npos || sign + 1 == clean.size())
    refuse("it needs something before and behind an @");
  for (const char c : clean.substr(0, sign))
    if (!is_plain(c) || std::string_view(" \"(),:;<>[]\\").find(c) != std::string_view::npos)
      refuse("a character before its @ is not allowed");
  const auto host = clean.substr(sign + 1);
  for (const char c : host)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
      refuse("behind its @ stands no host name");
  if (host.front() == '.' || host.front() == '-' || host.back() == '.' || host.back() == '-' ||
      host.find("..") != host.npos)
    refuse("behind its @ stands no host name");
  return clean;
}

std::string compose(const Mail& mail, const Mailbox& from, UnixTime at, std::string_view unique) {
  if (mail.text.size() > limits::kMailBytes || mail.html.size() > limits::kMailBytes)
    throw_error(ErrorCode::too_large, "a mail has more than {} bytes", limits::kMailBytes);
  const auto sender = clean_address(from.address);
  std::string out = fmt::format(
      "Date: {}\r\nFrom: {}\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: <{}@{}>\r\nMIME-Version: 1.0\r\n"
      "Auto-Submitted: auto-generated\r\n",  // RFC 3834 §5: nobody's absence notice shall answer
      date_text(at), mailbox_text(from), mailbox_text(mail.to), subject_text(mail.subject), unique,
      sender.substr(sender.find('@') + 1));
  if (mail.html.empty()) {
    out += part("text/plain", mail.text);
  } else {
    // "=_" cannot occur in quoted-printable text (RFC 2045 §6.7).
    const auto boundary = fmt::format("=_{}", unique);
    // The last is what a program shows that can (RFC 2046 §5.1.4).
    out += fmt::format(
        "Content-Type: multipart/alternative;\r\n "
        "boundary=\"{0}\"\r\n\r\n--{0}\r\n{1}\r\n--{0}\r\n{2}\r\n--{0}--\r\n",
        boundary, part("text/plain", mail.text), part("text/html", mail.html));
  }
  if (out.size() > limits::kMailBytes)
    throw_error(ErrorCode::too_large, "a mail has more than {} bytes", limits::kMailBytes);
  return out;
}

}  // namespace wrenn::outbound
