// What an operator or a stranger writes for requests to others: the first byte chooses what it is. What is
// read is written, and reading that gives the same; a mail is ASCII with short lines, whatever is in it.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/outbound/address_policy.h"
#include "core/outbound/mail_message.h"
#include "core/outbound/redis_stream.h"
#include "pieces.h"

using namespace wrenn;
using namespace wrenn::outbound;

namespace {

void network(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) {
    fuzz::require(IpAddress::parse(address->text()) == address, "a written address is read as it was");
    (void)why_not_public(*address);
  }
  const auto read = Network::parse(text);
  fuzz::require(Network::parse(read.text()) == read, "a written network is read as it was");
}

void redis_url(std::string_view text) {
  const auto url = RedisUrl::parse(text);
  fuzz::require(!url.host.empty() && url.port != 0, "a URL has a host and a port");
  const auto bare = RedisUrl::parse(url.text());
  fuzz::require(bare.host == url.host && bare.port == url.port && bare.db == url.db && bare.user.empty(),
                "a written URL is read as it was, without its user");
}

void stream_id(std::string_view text) {
  if (const auto id = StreamId::parse(text))
    fuzz::require(StreamId::parse(id->text()) == id, "a written id is read as it was");
}

void address(std::string_view text) {
  const auto clean = clean_address(text);
  fuzz::require(clean_address(clean) == clean, "a clean address stays as it is");
  fuzz::require(clean.find_first_of("\r\n <>,;:\"") == clean.npos, "an address is one word");
}

// Subject, name, text and HTML, divided by 0xff, which is not UTF-8 anyway.
void mail(std::string_view text) {
  std::string parts[4];
  std::size_t at = 0;
  for (const char c : text) {
    if (c == '\xff' && at < 3)
      ++at;
    else
      parts[at] += c;
  }
  const Mail mail{{"ann@example.com", parts[1]}, parts[0], parts[2], parts[3]};
  const auto whole =
      compose(mail, {"wrenn@example.org", parts[1]}, UnixTime{1'795'373'701'000'000}, "0123456789abcdef");
  fuzz::require(whole.ends_with("\r\n") || parts[2].empty(), "a mail ends with its last line");
  std::size_t fields = 0;
  bool head = true;
  for (auto line : split(whole, '\n')) {
    if (line.empty()) continue;
    fuzz::require(line.back() == '\r', "a line ends with CR LF");
    line.remove_suffix(1);
    if (line.empty()) head = false;
    if (head && line[0] != ' ') ++fields;
    fuzz::require(line.size() <= 78, "a line is short");
    for (const char c : line) fuzz::require((c >= 0x20 && c < 0x7f) || c == '\t', "a mail is ASCII");
  }
  fuzz::require(fields == (parts[3].empty() ? 9 : 8), "no text makes a field of the head");
}

constexpr void (*kReaders[])(std::string_view) = {network, redis_url, stream_id, address, mail};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  try {
    kReaders[bytes[0] % std::size(kReaders)]({reinterpret_cast<const char*>(bytes) + 1, size - 1});
  } catch (const Error& refused) {
    fuzz::require(std::string_view(refused.what()).size() < 20'000, "what is said of an input is short");
  }
  return 0;
}
