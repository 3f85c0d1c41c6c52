// Our request parser against Debian's http_parser: on a corpus with the verdict of each request, and on
// mutations of it. The rule that matters for security is the last test: whatever we accept, another parser
// must read in the same way.

#include <http_parser.h>
#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <random>

#include "core/base/codec.h"
#include "core/base/text.h"
#include "core/http/parser.h"

using namespace wrenn;

namespace {

struct Reading {
  bool accepted = false;
  std::string why;  // it was not
  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::size_t bytes = 0;  // of the whole request
  bool keep_alive = false;
};

// ---- ours ----

Reading read_ours(std::string_view bytes) {
  Reading reading;
  http::RequestParser parser;
  http::Request request;
  const auto result = parser.parse(bytes, request);
  if (result != http::FieldReader::Result::done) {
    reading.why = result == http::FieldReader::Result::more ? "not complete" : parser.refusal().reason;
    return reading;
  }
  reading.method = request.method;
  reading.target = request.target;
  reading.fields = request.headers.fields();
  reading.keep_alive = parser.keep_alive();
  reading.bytes = parser.size();
  auto rest = bytes.substr(parser.size());
  switch (parser.framing().kind) {
    case http::Framing::Kind::none:
      reading.accepted = true;
      break;
    case http::Framing::Kind::sized:
      reading.accepted = rest.size() >= parser.framing().length;
      if (reading.accepted) reading.body = rest.substr(0, static_cast<std::size_t>(parser.framing().length));
      reading.bytes += reading.body.size();
      break;
    default: {
      http::ChunkDecoder decoder;
      while (!rest.empty()) {
        const auto step = decoder.next(rest);
        reading.body += step.data;
        reading.bytes += step.consumed;
        rest.remove_prefix(step.consumed);
        if (step.refused) reading.why = decoder.refusal().reason;
        reading.accepted = step.done;
        if (step.done || step.refused) break;
      }
    }
  }
  if (!reading.accepted && reading.why.empty()) reading.why = "not complete";
  return reading;
}

// ---- theirs ----

struct Theirs {
  Reading reading;
  std::string name;
  std::string value;
  bool in_value = false;
  bool head_ended = false;
  bool ended = false;

  void end_field() {
    if (!name.empty() && !head_ended) reading.fields.emplace_back(name, std::string(trim(value)));
    name.clear();
    value.clear();
    in_value = false;
  }
};

Theirs& of(http_parser* parser) {
  return *static_cast<Theirs*>(parser->data);
}

int on_url(http_parser* parser, const char* at, std::size_t size) {
  of(parser).reading.target.append(at, size);
  return 0;
}
int on_header_field(http_parser* parser, const char* at, std::size_t size) {
  if (of(parser).in_value) of(parser).end_field();
  of(parser).name.append(at, size);
  return 0;
}
int on_header_value(http_parser* parser, const char* at, std::size_t size) {
  of(parser).in_value = true;
  of(parser).value.append(at, size);
  return 0;
}
int on_headers_complete(http_parser* parser) {
  of(parser).end_field();
  of(parser).head_ended = true;
  of(parser).reading.keep_alive = http_should_keep_alive(parser) != 0;
  return 0;
}
int on_body(http_parser* parser, const char* at, std::size_t size) {
  of(parser).reading.body.append(at, size);
  return 0;
}
int on_message_complete(http_parser* parser) {
  of(parser).ended = true;
  http_parser_pause(parser, 1);
  return 0;
}

Reading read_theirs(std::string_view bytes) {
  Theirs theirs;
  http_parser parser;
  http_parser_init(&parser, HTTP_REQUEST);
  parser.data = &theirs;
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  settings.on_url = on_url;
  settings.on_header_field = on_header_field;
  settings.on_header_value = on_header_value;
  settings.on_headers_complete = on_headers_complete;
  settings.on_body = on_body;
  settings.on_message_complete = on_message_complete;
  const std::size_t parsed = http_parser_execute(&parser, &settings, bytes.data(), bytes.size());
  const auto error = HTTP_PARSER_ERRNO(&parser);
  Reading& reading = theirs.reading;
  reading.accepted = theirs.ended && (error == HPE_PAUSED || error == HPE_OK);
  if (!reading.accepted) reading.why = error == HPE_OK ? "not complete" : http_errno_name(error);
  reading.bytes = parsed;
  reading.method = http_method_str(static_cast<http_method>(parser.method));
  return reading;
}

// An absolute target reaches our handlers as its path, its host as Host; compare what it means.
std::string target_of(std::string_view target) {
  const auto scheme = target.find("://");
  if (target.starts_with('/') || scheme == target.npos) return std::string(target);
  const auto path = target.find_first_of("/?", scheme + 3);
  if (path == target.npos) return "/";
  return target[path] == '/' ? std::string(target.substr(path)) : "/" + std::string(target.substr(path));
}

std::string show(const Reading& reading, bool with_host) {
  std::string out = reading.method + " " + target_of(reading.target) + "\n";
  for (const auto& [name, value] : reading.fields)
    if (with_host || !equals_ignoring_case(name, "Host")) out += name + ": " + value + "\n";
  return out + "\n" + reading.body + "\n" + std::to_string(reading.bytes) +
         (reading.keep_alive ? " kept" : " closed");
}

// ---- the corpus ----

struct Entry {
  std::string verdict;
  std::string name;
  std::string bytes;
};

std::string unescape(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out += line[i];
      continue;
    }
    REQUIRE(++i < line.size());
    switch (line[i]) {
      case 'r':
        out += '\r';
        break;
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case '0':
        out += '\0';
        break;
      case '\\':
        out += '\\';
        break;
      case 'x': {
        const auto byte = hex_decode(line.substr(i + 1, 2));
        REQUIRE(byte);
        out += *byte;
        i += 2;
        break;
      }
      default:
        FAIL("unknown escape in " << line);
    }
  }
  return out;
}

std::vector<Entry> read_corpus() {
  std::ifstream file(HTTP_CORPUS);
  REQUIRE(file);
  std::vector<Entry> entries;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("== ")) {
      const auto space = line.find(' ', 3);
      REQUIRE(space != line.npos);
      entries.push_back({line.substr(3, space - 3), line.substr(space + 1), ""});
    } else if (!line.starts_with('#') && !entries.empty()) {
      entries.back().bytes += unescape(line);
    }
  }
  return entries;
}

// http_parser takes "Transfer-Encodingx" for Transfer-Encoding.
bool meets_their_mistake(const Reading& reading) {
  constexpr std::string_view kCoding = "transfer-encoding";
  for (const auto& [name, value] : reading.fields)
    if (name.size() > kCoding.size() && to_lower(name).starts_with(kCoding)) return true;
  return false;
}

bool has_absolute_target(const Reading& reading) {
  return !reading.target.starts_with('/') && reading.target.find("://") != reading.target.npos;
}

}  // namespace

TEST_CASE("both parsers say what the corpus expects of them") {
  const auto entries = read_corpus();
  CHECK(entries.size() >= 60);
  for (const Entry& entry : entries) {
    INFO(entry.verdict << " " << entry.name);
    REQUIRE_FALSE(entry.bytes.empty());
    const Reading ours = read_ours(entry.bytes);
    const Reading theirs = read_theirs(entry.bytes);
    INFO("ours: " << (ours.accepted ? "accepted" : ours.why));
    INFO("theirs: " << (theirs.accepted ? "accepted" : theirs.why));
    const bool we_accept = entry.verdict == "accept" || entry.verdict == "accept-wider";
    const bool they_accept = entry.verdict == "accept" || entry.verdict == "refuse-laxer";
    CHECK((we_accept || entry.verdict == "refuse" || entry.verdict == "refuse-laxer"));
    CHECK(ours.accepted == we_accept);
    CHECK(theirs.accepted == they_accept);
    if (!we_accept) CHECK(ours.why != "not complete");
    if (ours.accepted && theirs.accepted)
      CHECK(show(ours, !has_absolute_target(theirs)) == show(theirs, !has_absolute_target(theirs)));
  }
}

TEST_CASE("what we accept, another parser reads in the same way") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto entries = read_corpus();
  constexpr std::string_view kSpice("\r\n\t :,;\0/?#x0\x7f\x80", 16);
  int both = 0;
  int only_ours = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes = entries[random() % entries.size()].bytes;
    for (auto n = 1 + random() % 3; n > 0 && !bytes.empty(); --n) {
      const auto at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + random() % 3);
          break;
        case 2:
          bytes.insert(at, 1, kSpice[random() % kSpice.size()]);
          break;
        default: {
          // A piece of another request, which is what smuggling looks like.
          const std::string& other = entries[random() % entries.size()].bytes;
          const auto from = random() % other.size();
          bytes.insert(at, other.substr(from, random() % 40));
        }
      }
    }
    Reading ours = read_ours(bytes);
    if (!ours.accepted || meets_their_mistake(ours)) continue;
    Reading theirs = read_theirs(bytes);
    // It misreads lists in Connection with empty members or tabs; that ends no body elsewhere.
    ours.keep_alive = theirs.keep_alive = false;
    INFO("input (hex) " << hex_encode(bytes));
    if (!theirs.accepted) {
      // It may refuse what we accept, but only for its list of methods, its own idea of a URL, and a tab
      // behind a length.
      ++only_ours;
      const std::vector<std::string> known{"HPE_INVALID_METHOD", "HPE_INVALID_URL", "HPE_INVALID_CONSTANT"};
      if (std::find(known.begin(), known.end(), theirs.why) == known.end())
        FAIL("they refuse with " << theirs.why << " what we read as " << show(ours, true));
      continue;
    }
    ++both;
    const bool with_host = !has_absolute_target(theirs);
    if (show(ours, with_host) != show(theirs, with_host))
      FAIL("ours:\n" << show(ours, with_host) << "\ntheirs:\n" << show(theirs, with_host));
  }
  INFO(both << " accepted by both, " << only_ours << " by us only");
  CHECK(both > 1000);
}
