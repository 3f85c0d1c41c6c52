#include "core/http/head_writer.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

#include "core/base/text.h"
#include "core/http/message.h"

namespace wrenn::http {

void append_status_line(std::string& out, int status) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

void append_length(std::string& out, std::uint64_t length) {
  out += "Content-Length: ";
  const fmt::format_int digits(length);
  out.append(digits.data(), digits.size());
  out += "\r\n";
}

void append_date(std::string& out) {
  static thread_local std::time_t of = 0;
  static thread_local std::string field;
  const std::time_t now = std::time(nullptr);
  if (now != of) {
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm t{};
    ::gmtime_r(&now, &t);
    field = fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[t.tm_wday], t.tm_mday,
                        kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    of = now;
  }
  out += field;
}

void append_chunk_size(std::string& out, std::size_t size) {
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", size);
}

bool is_framing_field(std::string_view name) noexcept {
  switch (name.size()) {
    case 10:
      return equals_ignoring_case(name, "connection") || equals_ignoring_case(name, "keep-alive");
    case 14:
      return equals_ignoring_case(name, "content-length");
    case 17:
      return equals_ignoring_case(name, "transfer-encoding");
    default:
      return false;
  }
}

}  // namespace wrenn::http
