#include "envd/ports/listeners.h"

#include <fcntl.h>

#include <charconv>
#include <map>

#include "core/base/text.h"
#include "envd/limits.h"
#include "linux/fd.h"

namespace wrenn::envd::ports {

namespace {

// Addresses in these tables are the words of the address in the machine's byte order (net/ipv4/tcp_ipv4.c and
// net/ipv6/tcp_ipv6.c of Linux, "%08X"); all machines we run on are little-endian.
constexpr std::string_view kLoopback4 = "0100007F";
constexpr std::string_view kLoopback6 = "00000000000000000000000001000000";
constexpr std::string_view kMappedLoopback = "0000000000000000FFFF00000100007F";
constexpr std::string_view kListening = "0A";
constexpr std::size_t kStateField = 3;

struct Row {
  std::string_view address;
  std::uint16_t port = 0;
  std::string_view state;
};

// "   0: 0100007F:1F90 00000000:0000 0A …"
bool parse_row(std::string_view line, Row& row) {
  std::string_view fields[kStateField + 1];
  for (std::string_view& field : fields) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    field = line.substr(0, line.find(' '));
    line.remove_prefix(field.size());
  }
  const auto colon = fields[1].find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view port = fields[1].substr(colon + 1);
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), row.port, 16);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) return false;
  row.address = fields[1].substr(0, colon);
  row.state = fields[kStateField];
  return true;
}

// The kernel lists listening sockets before all others: one row that is not ends what is of interest. Only
// whole lines are looked at.
bool listeners_end(std::string_view text) {
  const auto last = text.rfind('\n');
  if (last == std::string_view::npos) return false;
  const auto before = text.rfind('\n', last - 1);
  Row row;
  return before != std::string_view::npos && parse_row(text.substr(before + 1, last - before - 1), row) &&
         row.state != kListening;
}

std::string read_listening_part(const char* path) {
  std::string text;
  const auto file = sys::try_open_file(path, O_RDONLY);
  if (!file) return text;  // a kernel without IPv6
  while (text.size() < limits::kSocketTableBytes && !listeners_end(text)) {
    const std::string part = sys::read_up_to(*file, limits::kSocketTableReadBytes);
    if (part.empty()) break;
    text += part;
  }
  return text;
}

}  // namespace

std::vector<LoopbackListener> parse_listeners(std::string_view tcp, std::string_view tcp6) {
  std::map<std::uint16_t, LoopbackListener> found;
  for (const std::string_view table : {tcp, tcp6}) {
    for (const std::string_view line : split(table, '\n')) {
      Row row;
      if (!parse_row(line, row) || row.state != kListening || row.port == 0) continue;
      const bool ipv4 = row.address == kLoopback4 || row.address == kMappedLoopback;
      const bool ipv6 = row.address == kLoopback6;
      if (!ipv4 && !ipv6) continue;
      LoopbackListener& listener = found[row.port];
      listener.port = row.port;
      listener.on_ipv4 |= ipv4;
      listener.on_ipv6 |= ipv6;
    }
  }
  std::vector<LoopbackListener> listeners;
  listeners.reserve(found.size());
  for (const auto& [port, listener] : found) listeners.push_back(listener);
  return listeners;
}

std::vector<LoopbackListener> loopback_listeners() {
  const std::string tcp = read_listening_part("/proc/net/tcp");
  const std::string tcp6 = read_listening_part("/proc/net/tcp6");
  return parse_listeners(tcp, tcp6);
}

}  // namespace wrenn::envd::ports
