// What goes to QEMU's monitor, and the lines that it sends. The VMM is exposed to a hostile guest, so nothing
// here trusts it: lengths are bounded, and what is malformed is absent.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/json/value.h"

namespace wrenn::agent::vmm {

struct QmpMessage {
  enum class Kind { greeting, event, answer, failure };
  Kind kind = Kind::event;
  std::int64_t id = -1;  // of an answer or failure: the command's; -1 when it carries none
  std::string text;      // event: its name; failure: QEMU's explanation
  json::Value data;      // event: its data; answer: the returned value; greeting: its content
};

// The arguments of a command, or one of them.
std::string qmp_object(std::initializer_list<std::pair<std::string_view, json::Value>> members);

// Absent when the line is no message of the protocol.
std::optional<QmpMessage> parse_qmp(std::string_view line);

// Cuts a stream of bytes into lines of at most `max_line_bytes`.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // False when a line grows beyond the limit; nothing more comes out then.
  bool add(std::string_view bytes);
  // The next whole line without its end (LF or CR LF); absent when there is none yet.
  std::optional<std::string> next();

 private:
  std::size_t max_line_bytes_;
  std::string buffer_;
  std::size_t begin_ = 0;    // of the current line
  std::size_t scanned_ = 0;  // no line end between begin_ and here
  bool overflow_ = false;
};

}  // namespace wrenn::agent::vmm
