#include "evil_answers.h"

#include "core/http/connect_rpc.h"

namespace wrenn::test {

namespace {

using After = Script::After;

constexpr std::size_t kMib = 1024 * 1024;
constexpr auto kInternal = ErrorCode::internal;
constexpr auto kUnavailable = ErrorCode::unavailable;
constexpr auto kDeadline = ErrorCode::deadline_exceeded;

std::string repeat(std::string_view piece, std::size_t times) {
  std::string all;
  while (times-- > 0) all += piece;
  return all;
}
std::string chunked(std::string_view body) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{}", body);
}

std::string envelope(std::string_view message, unsigned char flags = 0) {
  return http::connect_envelope(message, flags);
}
std::string stream(std::string_view envelopes) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\n\r\n{}", envelopes);
}

}  // namespace

std::string json_answer(std::string_view body, std::string_view more) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{}",
                     more, body.size(), body);
}

std::string answer(std::string_view status, std::string_view rest) {
  return fmt::format("HTTP/1.1 {}\r\n{}", status, rest);
}

std::vector<EvilRow> evil_answers() {
  using enum Fault;
  using namespace std::string_literals;
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string filler(64 * 1024, 'x');
  const std::string too_long = std::string(17 * kMib, ' ');
  return {
      // Heads.
      {"endless header line", {ok + "X: ", After::hold, filler}, head, kInternal, "head is too long"},
      {"endless headers", {ok, After::hold, repeat("A: b\r\n", 1000)}, head, kInternal, "too many header"},
      {"endless status line", {"HTTP/1.1 200 ", After::hold, filler}, head, kInternal, "head is too long"},
      {"slow loris in the head", {.answer = ok + "X: ", .slowly = true}, late, kDeadline, ""},
      {"TLS", {"\x16\x03\x01\r\n\r\n"}, head, kInternal, "not HTTP/1"},
      {"another protocol", {"SSH-2.0-OpenSSH_9.2\r\n\r\n"}, head, kInternal, "not HTTP/1"},
      {"HTTP/2", {"HTTP/2 200\r\n\r\n"}, head, kInternal, "not HTTP/1"},
      {"HTTP/0.9", {"<html>hello</html>"}, head, kUnavailable, "broke off inside the head"},
      {"status that is no number", {answer("2x0 OK", "\r\n")}, head, kInternal, "status"},
      {"bare LF", {"HTTP/1.1 200 OK\nContent-Length: 0\n\n"}, head, kInternal, "does not end with CR LF"},
      {"NUL in a field", {ok + "X: a\0b\r\n\r\n"s}, head, kInternal, "control character"},
      {"folded field", {ok + "X: a\r\n b\r\n\r\n"}, head, kInternal, "folded"},
      {"blank before the colon", {ok + "Content-Length : 0\r\n\r\n"}, head, kInternal, "name of a header"},
      {"two lengths",
       {ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
       head,
       kInternal,
       "more than once"},
      {"negative length", {ok + "Content-Length: -1\r\n\r\n"}, head, kInternal, "not a number"},
      {"overflowing length",
       {ok + "Content-Length: 99999999999999999999\r\n\r\n"},
       head,
       kInternal,
       "not a number"},
      {"length in words", {ok + "Content-Length: many\r\n\r\n"}, head, kInternal, "not a number"},
      {"length and chunks",
       {ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
       head,
       kInternal,
       "both given"},
      {"unknown transfer coding",
       {ok + "Transfer-Encoding: gzip\r\n\r\n"},
       head,
       kInternal,
       "only transfer coding"},
      {"close without an answer", {""}, head, kUnavailable, "without an answer"},
      {"close inside the head", {ok + "Content-Le"}, head, kUnavailable, "broke off inside the head"},
      {"reset", {"", After::reset}, head, kUnavailable, ""},
      {"reset inside the head", {ok, After::reset}, head, kUnavailable, ""},
      {"upgrade that nobody asked for",
       {answer("101 Switching Protocols", "Upgrade: x\r\nConnection: upgrade\r\n\r\n")},
       head,
       kInternal,
       "nobody asked"},
      {"endless interim answers",
       {"", After::hold, repeat("HTTP/1.1 100 Continue\r\n\r\n", 100)},
       head,
       kInternal,
       "too many 1xx"},
      {"no answer", {"", After::hold}, late, kDeadline, ""},
      // Bodies.
      {"body cut short",
       {ok + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"},
       body,
       kUnavailable,
       "breaks off"},
      {"reset in the body", {ok + "Content-Length: 100\r\n\r\n{", After::reset}, body, kUnavailable, ""},
      {"chunk size that is no number", {chunked("zz\r\n")}, body, kInternal, "chunk size is not a number"},
      {"negative chunk size", {chunked("-5\r\nhello\r\n")}, body, kInternal, "chunk size is not a number"},
      {"overflowing chunk size",
       {chunked("ffffffffffffffffff\r\n")},
       body,
       kInternal,
       "chunk size is too large"},
      {"endless chunk extension",
       {chunked("5;a="), After::hold, filler},
       body,
       kInternal,
       "size line is too long"},
      {"no line end behind a chunk", {chunked("2\r\n{}0\r\n\r\n")}, body, kInternal, "longer than its size"},
      {"endless trailer",
       {chunked("0\r\n"), After::hold, repeat("A: b\r\n", 1000)},
       body,
       kInternal,
       "trailer"},
      {"no last chunk", {chunked("2\r\n{}\r\n")}, body, kUnavailable, "before its last chunk"},
      {"slow loris in the body",
       {.answer = ok + "Content-Length: 60000\r\n\r\n", .slowly = true},
       late,
       kDeadline,
       ""},
      {"body that never comes",
       {ok + "Content-Length: 9000000000000000000\r\n\r\n{", After::hold},
       content,
       kInternal,
       "at most"},
      {"unary body above the limit", {json_answer(too_long)}, content, kInternal, "at most 16777216"},
      // What they say.
      {"redirect to itself",
       {answer("302 Found", "Location: /process.Process/List\r\nContent-Length: 0\r\n\r\n")},
       content,
       ErrorCode::unknown,
       "302"},
      {"no content, with a body",
       {answer("204 No Content", "Content-Type: application/json\r\n\r\n{}")},
       content,
       ErrorCode::unknown,
       "204"},
      {"unknown content coding",
       {json_answer("\x1f\x8b\x08", "Content-Encoding: gzip\r\n")},
       content,
       kInternal,
       "malformed JSON"},
      {"another content type",
       {ok + "Content-Type: text/html\r\nContent-Length: 2\r\n\r\n{}"},
       content,
       kInternal,
       "content type"},
      {"empty body", {json_answer("")}, content, kInternal, "malformed JSON"},
      {"malformed UTF-8",
       {json_answer("{\"processes\":[{\"tag\":\"\xff\xfe\"}]}")},
       content,
       kInternal,
       "malformed JSON"},
      {"deep nesting", {json_answer(std::string(100'000, '['))}, content, kInternal, "malformed JSON"},
      {"wrong type", {json_answer(R"({"processes":{"pid":"x"}})")}, content, kInternal, "must be an array"},
      {"no object", {json_answer("[]")}, content, kInternal, "must be an object"},
      {"pid below zero",
       {json_answer(R"({"processes":[{"pid":-1}]})")},
       content,
       kInternal,
       "processes[0].pid"},
      {"pid beyond all integers",
       {json_answer(R"({"processes":[{"pid":123456789012345678901234567890}]})")},
       content,
       kInternal,
       ""},
      {"number beyond all doubles",
       {json_answer(R"({"processes":[{"pid":1e999}]})")},
       content,
       kInternal,
       ""},
      {"more values than memory",
       {json_answer("{\"processes\":[{}" + repeat(",{}", 2'000'000) + "]}")},
       content,
       kInternal,
       "more than 1000000 values"},
      {"bytes behind the value", {json_answer("{}{}")}, content, kInternal, "malformed JSON"},
      {"an error that looks like our own cancellation",
       {answer("499 x", "Content-Length: 19\r\n\r\n{\"code\":\"canceled\"}")},
       content,
       ErrorCode::aborted,
       ""},
      {"an error with control characters",
       {answer("500 x", "\r\n{\"code\":\"internal\",\"message\":\"a\\u001b[2Jb\\nc\"}")},
       content,
       kInternal,
       "a [2Jb c"},
      // Odd, but understood.
      {"body longer than its length",
       {json_answer("{}") + "HTTP/1.1 200 OK\r\n\r\nforged"},
       none,
       kInternal,
       ""},
      {"duplicate keys", {json_answer(R"({"processes":[],"processes":[]})")}, none, kInternal, ""},
      {"answer before the request", {.answer = json_answer("{}"), .early = true}, none, kInternal, ""},
  };
}

std::vector<EvilRow> evil_streams() {
  using enum Fault;
  using namespace std::string_literals;
  const std::string start = envelope(R"({"event":{"start":{"pid":1}}})");
  const std::string end =
      envelope(R"({"event":{"end":{"exitCode":0,"exited":true,"status":"exit status 0"}}})");
  const std::string alive = envelope(R"({"event":{"keepalive":{}}})");
  const std::string last = envelope("{}", 2);
  return {
      {"unknown flags", {stream(start + envelope("{}", 0x40))}, content, kInternal, "unknown flags 0x40"},
      {"compressed envelope", {stream(envelope("{}", 1))}, content, kInternal, "compressed"},
      {"envelope of 4 GiB",
       {stream("\0\xff\xff\xff\xff"s), After::hold, std::string(64 * 1024, 'x')},
       content,
       kInternal,
       "4294967295 bytes"},
      {"envelope cut in its head", {stream(start + "\0\0"s)}, content, kInternal, "inside an envelope"},
      {"envelope cut in its message",
       {stream(start + end.substr(0, 20))},
       content,
       kInternal,
       "inside an envelope"},
      {"no end message", {stream(start)}, content, kUnavailable, "without an end message"},
      {"end message without an end event",
       {stream(start + last)},
       content,
       kUnavailable,
       "without its end event"},
      {"end message twice, and no end event",
       {stream(start + last + last)},
       content,
       kUnavailable,
       "without its end event"},
      {"end message that is no JSON", {stream(start + envelope("{", 2))}, content, kInternal, "end message"},
      {"end message that looks like our own cancellation",
       {stream(start + envelope(R"({"error":{"code":"canceled"}})", 2))},
       content,
       ErrorCode::aborted,
       ""},
      {"end message with control characters",
       {stream(envelope(R"({"error":{"code":"internal","message":"a\u001b[2J\u0000b"}})", 2))},
       content,
       kInternal,
       "a [2J b"},
      {"event of the wrong type", {stream(envelope(R"({"event":[1]})"))}, content, kInternal, "field event"},
      {"output that is no base64",
       {stream(envelope(R"({"event":{"data":{"stdout":"%%"}}})"))},
       content,
       kInternal,
       "base64"},
      {"event that is no JSON", {stream(envelope("\xff\xff"))}, content, kInternal, "malformed JSON"},
      {"event of deep nesting",
       {stream(envelope(std::string(100'000, '[')))},
       content,
       kInternal,
       "malformed JSON"},
      {"exit code beyond 32 bits",
       {stream(envelope(R"({"event":{"end":{"exitCode":99999999999}}})"))},
       content,
       kInternal,
       "exitCode"},
      {"keep-alives for ever", {stream(start), After::hold, repeat(alive, 500)}, late, kDeadline, ""},
      {"empty events for ever",
       {stream(start), After::hold, repeat(envelope(R"({"event":{}})"), 500)},
       late,
       kDeadline,
       ""},
      {"silence after the start", {stream(start), After::hold}, late, kDeadline, ""},
      {"end event twice", {stream(start + end + end + last)}, none, kInternal, ""},
      {"data after the end",
       {stream(start + end + last + start + "garbage"), After::hold},
       none,
       kInternal,
       ""},
  };
}

}  // namespace wrenn::test
