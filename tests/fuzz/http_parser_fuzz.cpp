// The first byte says what the input is (a request, an answer or a chunked body) and how it is cut. However
// it is cut, the outcome is the same; what is accepted holds nothing that could split a message, and written
// down again it is accepted again with the same meaning.
#include "core/http/characters.h"
#include "core/http/head_writer.h"
#include "core/http/parser.h"
#include "pieces.h"

using namespace wrenn;
using Result = http::FieldReader::Result;

namespace {

std::string show(const http::Headers& headers) {
  std::string out;
  for (const auto& [name, value] : headers.fields()) {
    fuzz::require(http::is_token(name), "names are tokens");
    fuzz::require(http::is_field_value(value), "values have no control characters");
    http::append_field(out, name, value);
  }
  return out;
}

std::string show(const http::Framing& framing) {
  return std::to_string(static_cast<int>(framing.kind)) + ":" + std::to_string(framing.length);
}

// `data` cut into pieces, each longer than the one before it by `piece` bytes.
template <typename Parser, typename Message>
Result parse(Parser& parser, Message& message, std::string_view data, std::size_t piece) {
  for (std::size_t size = piece; size < data.size(); size += piece) {
    const Result result = parser.parse(data.substr(0, size), message);
    if (result != Result::more) return result;
  }
  return parser.parse(data, message);
}

std::string refusal_of(const http::FieldReader& parser) {
  fuzz::require(!parser.refusal().reason.empty() && parser.refusal().status >= 400, "a refusal says why");
  return "refused: " + std::string(parser.refusal().reason);
}

std::string meaning(const http::RequestParser& parser, const http::Request& request) {
  return request.method + " " + request.target + " " + request.path + " " + request.query + " " +
         std::to_string(request.minor_version) + "\n" + show(request.headers) + show(parser.framing()) +
         (parser.keep_alive() ? " kept" : "") + (parser.expects_continue() ? " waits" : "");
}

std::string read_request(std::string_view data, std::size_t piece) {
  http::RequestParser parser;
  http::Request request;
  const Result result = parse(parser, request, data, piece);
  if (result == Result::more) return "more";
  if (result == Result::refused) return refusal_of(parser);
  fuzz::require(parser.size() <= data.size() && data.substr(0, parser.size()).ends_with("\r\n\r\n"),
                "a head ends with an empty line");
  const std::string said = meaning(parser, request);
  std::string again = request.method + " " + request.target + " HTTP/1." +
                      std::to_string(request.minor_version) + "\r\n" + show(request.headers) + "\r\n";
  http::RequestParser second;
  http::Request copy;
  fuzz::require(second.parse(again, copy) == Result::done && meaning(second, copy) == said,
                "a request written again means the same");
  return said + std::to_string(parser.size());
}

std::string read_answer(std::string_view data, std::size_t piece) {
  http::ResponseParser parser;
  http::ResponseHead head;
  const Result result = parse(parser, head, data, piece);
  if (result == Result::more) return "more";
  if (result == Result::refused) return refusal_of(parser);
  fuzz::require(head.status >= 100 && head.status <= 999, "a status has three digits");
  fuzz::require(http::is_field_value(head.reason), "a reason has no control characters");
  return std::to_string(head.status) + " " + head.reason + "\n" + show(head.headers) +
         show(parser.framing("GET", head.status)) + (parser.keep_alive() ? " kept" : "") +
         std::to_string(parser.size());
}

std::string read_chunks(std::string_view data, std::size_t piece) {
  http::ChunkDecoder decoder;
  std::string body;
  std::size_t consumed = 0;
  while (consumed < data.size()) {
    auto input = data.substr(consumed, piece);
    while (!input.empty()) {
      const auto step = decoder.next(input);
      body += step.data;
      consumed += step.consumed;
      input.remove_prefix(step.consumed);
      if (step.done) return "done " + std::to_string(consumed) + " " + body;
      if (step.refused) return "refused: " + std::string(decoder.refusal().reason) + " " + body;
      fuzz::require(step.consumed > 0, "the decoder takes what it is given");
    }
  }
  fuzz::require(body.size() <= data.size(), "a body is not longer than its coding");
  return "more " + body;
}

std::string read(int what, std::string_view data, std::size_t piece) {
  switch (what) {
    case 0:
      return read_request(data, piece);
    case 1:
      return read_answer(data, piece);
    default:
      return read_chunks(data, piece);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const int what = bytes[0] % 3;
  const auto whole = read(what, data, data.size() + 1);
  fuzz::require(read(what, data, 1 + bytes[0] / 3 % 20) == whole, "pieces do not matter");
  return 0;
}
