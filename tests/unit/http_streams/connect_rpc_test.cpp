#include "core/http/connect_rpc.h"

#include <catch2/catch.hpp>

#include "core/async/scope.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/net/listener.h"
#include "reply_double.h"
#include "run_task.h"

using namespace wrenn;
using namespace wrenn::http;
using namespace std::chrono_literals;
using async::Task;
using Catch::Contains;

namespace {

Task<std::string> read_envelopes(Body& body, std::size_t max) {
  EnvelopeReader reader(body, max);
  std::string out;
  while (auto envelope = co_await reader.next())
    out += (envelope->end ? "END:" : "MSG:") + envelope->message + "|";
  co_return out;
}

std::string envelopes(std::vector<std::string> pieces, std::size_t max = 0) {
  test::PiecesBody body(std::move(pieces));
  return test::run(read_envelopes(body, max));
}

ErrorCode envelope_error(const std::string& data, std::size_t max = 0) {
  try {
    envelopes({data}, max);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::unknown;
}

}  // namespace

TEST_CASE("codes, names and statuses of the Connect protocol", "[connect]") {
  struct Row {
    ErrorCode code;
    std::string_view name;
    int status;
  };
  const Row rows[] = {
      {ErrorCode::invalid_argument, "invalid_argument", 400},
      {ErrorCode::unauthenticated, "unauthenticated", 401},
      {ErrorCode::permission_denied, "permission_denied", 403},
      {ErrorCode::not_found, "not_found", 404},
      {ErrorCode::already_exists, "already_exists", 409},
      {ErrorCode::aborted, "aborted", 409},
      {ErrorCode::resource_exhausted, "resource_exhausted", 429},
      {ErrorCode::canceled, "canceled", 499},
      {ErrorCode::deadline_exceeded, "deadline_exceeded", 504},
      {ErrorCode::unimplemented, "unimplemented", 501},
      {ErrorCode::unavailable, "unavailable", 503},
      {ErrorCode::internal, "internal", 500},
      {ErrorCode::unknown, "unknown", 500},
      {ErrorCode::data_loss, "data_loss", 500},
      {ErrorCode::failed_precondition, "failed_precondition", 400},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    CHECK(connect_status(row.code) == row.status);
    CHECK(connect_code(row.name) == row.code);
    CHECK(connect_error_json(row.code, "m") ==
          fmt::format("{{\"code\":\"{}\",\"message\":\"m\"}}", row.name));
    CHECK(to_string(row.code) == row.name);
  }
  CHECK(connect_code("out_of_range") == ErrorCode::invalid_argument);
  CHECK(connect_code("no_such_code") == ErrorCode::unknown);
  CHECK(connect_code("") == ErrorCode::unknown);
  CHECK(connect_error_json(ErrorCode::too_large, "") == "{\"code\":\"resource_exhausted\"}");
  const auto response = connect_error(ErrorCode::not_found, "no \"x\"");
  CHECK(response.status == 404);
  CHECK(response.headers.get("content-type") == "application/json");
  CHECK(response.body == "{\"code\":\"not_found\",\"message\":\"no \\\"x\\\"\"}");
}

TEST_CASE("errors of answers that are no Connect errors", "[connect]") {
  const auto check = [](int status, std::string_view body, ErrorCode code, const std::string& text) {
    INFO(status << " " << body);
    const auto error = connect_error_of("/s.S/M", status, body);
    CHECK(error.code() == code);
    CHECK_THAT(error.what(), Contains(text));
  };
  check(404, R"({"code":"not_found","message":"gone"})", ErrorCode::not_found, "gone");
  check(401, R"({"code":401,"message":"unauthorized access"})", ErrorCode::unauthenticated,
        "unauthorized access");
  check(502, R"({"code":502,"message":"sandbox timeout"})", ErrorCode::unavailable, "sandbox timeout");
  check(404, "not here", ErrorCode::unimplemented, "not here");
  check(404, "", ErrorCode::unimplemented, "/s.S/M: answered with HTTP status 404");
  check(400, "{}", ErrorCode::internal, "400");
  check(429, "[1]", ErrorCode::unavailable, "[1]");
  // Ours means that the task itself is to stop.
  check(499, R"({"code":"canceled","message":"stop"})", ErrorCode::aborted, "stop");
  CHECK(connect_end_error(R"({"error":{"code":"canceled"}})")->code() == ErrorCode::aborted);
  check(418, "\xff\x01\n", ErrorCode::unknown, "\xEF\xBF\xBD");
  CHECK(std::string(connect_error_of("x", 500, std::string(100'000, 'y')).what()).size() < 5'000);
}

TEST_CASE("envelopes are one flag byte, a big-endian length and the message", "[connect]") {
  CHECK(connect_envelope("{}") == std::string("\0\0\0\0\2{}", 7));
  CHECK(connect_envelope("", 2) == std::string("\2\0\0\0\0", 5));
  CHECK(connect_envelope(std::string(0x12345, 'x')).substr(0, 5) == std::string("\0\0\x01\x23\x45", 5));
}

TEST_CASE("envelopes are read wherever the body is cut", "[connect]") {
  const auto body = connect_envelope("{\"a\":1}") + connect_envelope("") +
                    connect_envelope(std::string(300, 'x')) + connect_envelope("{}", 2);
  const auto whole = "MSG:{\"a\":1}|MSG:|MSG:" + std::string(300, 'x') + "|END:{}|";
  CHECK(envelopes({body}) == whole);
  for (std::size_t at = 0; at <= body.size(); ++at) REQUIRE(envelopes(test::cut_at(body, at)) == whole);
  CHECK(envelopes(test::byte_by_byte(body)) == whole);
  CHECK(envelopes({}).empty());
  const std::string big(200'000, 'y');
  CHECK(envelopes({connect_envelope(big)}) == "MSG:" + big + "|");
}

TEST_CASE("hostile envelopes are refused", "[connect]") {
  CHECK(envelope_error(connect_envelope("x", 1)) == ErrorCode::invalid_argument);     // compressed
  CHECK(envelope_error(connect_envelope("x", 3)) == ErrorCode::invalid_argument);     // compressed end
  CHECK(envelope_error(connect_envelope("x", 4)) == ErrorCode::invalid_argument);     // unknown flag
  CHECK(envelope_error(connect_envelope("x", 0x80)) == ErrorCode::invalid_argument);  // gRPC-web's trailers
  CHECK(envelope_error(connect_envelope(std::string(101, 'x')), 100) == ErrorCode::too_large);
  CHECK(envelopes({connect_envelope(std::string(100, 'x'))}, 100).size() > 100);
  CHECK(envelope_error(std::string("\0\xff\xff\xff\xff", 5) + "x") == ErrorCode::too_large);
  const auto good = connect_envelope("hello");
  for (std::size_t size = 1; size < good.size(); ++size) {
    INFO(size);
    CHECK(envelope_error(good.substr(0, size)) == ErrorCode::invalid_argument);
  }
}

static Task<> stream_some(Reply& reply, bool fail) {
  ConnectStream stream(reply);
  const std::string json = R"({"n":1})";
  co_await stream.send(json);
  if (fail) {
    co_await stream.fail(ErrorCode::not_found, "no process 7");
  } else {
    co_await stream.end();
  }
}

static Task<> look_before_the_first_message(test::ReplyDouble& reply) {
  ConnectStream stream(reply);
  CHECK(reply.status == 0);
  co_await stream.end();
}

TEST_CASE("nothing is answered before there is something to say", "[connect]") {
  test::ReplyDouble reply;
  test::run(look_before_the_first_message(reply));
  CHECK(reply.status == 200);
  CHECK(reply.text() == connect_envelope("{}", 2));
}

TEST_CASE("a streamed answer is 200, flushed by message, with an end", "[connect]") {
  test::ReplyDouble reply, failed;
  test::run(stream_some(reply, false));
  CHECK(reply.status == 200);
  CHECK(reply.fields.get("content-type") == "application/connect+json");
  CHECK(reply.writes.size() == 2);
  CHECK(reply.text() == connect_envelope(R"({"n":1})") + connect_envelope("{}", 2));
  CHECK(reply.finished);
  test::run(stream_some(failed, true));
  CHECK(failed.status == 200);
  CHECK(failed.writes.back() ==
        connect_envelope(R"({"error":{"code":"not_found","message":"no process 7"}})", 2));
  CHECK(failed.finished);
}

namespace {

// Serves one connection: waits until `request_end` has come, sends `answer`, waits, and closes.
Task<> serve_once(net::Listener& listener, std::string request_end, std::string answer, std::string& request,
                  std::chrono::milliseconds linger) {
  auto stream = co_await listener.accept();
  char buffer[4096];
  while (!request.ends_with(request_end)) {
    const auto count = co_await stream.read_some(buffer);
    if (count == 0) break;
    request.append(buffer, count);
  }
  co_await stream.write(answer);
  if (linger > 0ms) co_await async::sleep(linger);
}

std::string chunked(const std::string& head, const std::string& body, bool finish = true) {
  return head + "Transfer-Encoding: chunked\r\n\r\n" +
         (body.empty() ? "" : fmt::format("{:x}\r\n{}\r\n", body.size(), body)) + (finish ? "0\r\n\r\n" : "");
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\n";

struct Outcome {
  std::string messages;
  std::optional<ErrorCode> error;
  std::string what;
  std::string request;
};

Task<> call(net::Address address, Outcome& out, std::chrono::milliseconds timeout) {
  Client client(co_await asio::this_coro::executor, address);
  try {
    Headers headers;
    headers.set("X-Access-Token", "t");
    auto stream = co_await ConnectCall::begin(client, "/p.P/Start", headers, "{\"q\":1}", timeout);
    while (const auto message = co_await stream.next()) out.messages += *message + "|";
    CHECK_FALSE((co_await stream.next()).has_value());
  } catch (const Error& error) {
    out.error = error.code();
    out.what = error.what();
  }
}

Task<Outcome> call_answered_by(std::string answer, std::chrono::milliseconds linger,
                               std::chrono::milliseconds timeout) {
  const auto executor = co_await asio::this_coro::executor;
  net::Listener listener(executor, net::Address::tcp("127.0.0.1", 0));
  Outcome out;
  auto serving = serve_once(listener, "{\"q\":1}", answer, out.request, linger);
  auto calling = call(listener.address(), out, timeout);
  async::Scope scope(executor, "test");
  scope.spawn(std::move(serving));
  co_await std::move(calling);
  scope.cancel();
  co_await scope.join();
  co_return out;
}

Outcome call_with(const std::string& answer, std::chrono::milliseconds linger = 0ms,
                  std::chrono::milliseconds timeout = 5s) {
  return test::run(call_answered_by(answer, linger, timeout));
}

}  // namespace

TEST_CASE("a streaming call sends one envelope and yields the messages", "[connect]") {
  const auto out = call_with(chunked(
      kOk, connect_envelope("{\"a\":1}") + connect_envelope("{\"b\":2}") + connect_envelope("{}", 2)));
  CHECK(out.messages == "{\"a\":1}|{\"b\":2}|");
  CHECK_FALSE(out.error.has_value());
  CHECK_THAT(out.request, Contains("POST /p.P/Start HTTP/1.1\r\n"));
  const auto lower = to_lower(out.request);
  CHECK_THAT(lower, Contains("content-type: application/connect+json\r\n") &&
                        Contains("connect-protocol-version: 1\r\n") && Contains("content-length: 12\r\n") &&
                        Contains("x-access-token: t\r\n"));
  CHECK(out.request.ends_with(connect_envelope("{\"q\":1}")));
}

TEST_CASE("ends of a streaming call: error, missing, broken, late", "[connect]") {
  auto out = call_with(
      chunked(kOk, connect_envelope("{}") +
                       connect_envelope(R"({"error":{"code":"not_found","message":"no such process"}})", 2)));
  CHECK(out.messages == "{}|");
  CHECK(out.error == ErrorCode::not_found);
  CHECK(out.what == "no such process");

  out = call_with(chunked(kOk, connect_envelope(R"({"error":{"code":"what"}})", 2)));
  CHECK(out.error == ErrorCode::unknown);

  out = call_with(chunked(kOk, connect_envelope("{}")));  // no end message
  CHECK(out.error == ErrorCode::unavailable);
  CHECK(out.messages == "{}|");

  out = call_with(chunked(kOk, connect_envelope("{}"), false));  // no end of the body either
  CHECK(out.error == ErrorCode::unavailable);

  out = call_with(chunked(kOk, connect_envelope("not json", 2)));
  CHECK(out.error == ErrorCode::internal);

  // A peer that keeps the body open behind its end message cannot hold us.
  const auto start = SteadyClock::now();
  out = call_with(chunked(kOk, connect_envelope("{}", 2), false), 15s);
  CHECK_FALSE(out.error.has_value());
  CHECK(SteadyClock::now() - start < 8s);
}

TEST_CASE("answers that are no Connect stream", "[connect]") {
  auto out =
      call_with(chunked("HTTP/1.1 404 Not Found\r\n", R"({"code":"not_found","message":"no sandbox"})"));
  CHECK(out.error == ErrorCode::not_found);
  CHECK(out.what == "no sandbox");
  out = call_with(chunked("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", "<html>"));
  CHECK(out.error == ErrorCode::internal);
  CHECK_THAT(out.what, Contains("text/html"));
  out = call_with("", 15s, 300ms);
  CHECK(out.error == ErrorCode::deadline_exceeded);
}

static Task<Outcome> unary_answered_by(std::string answer) {
  const auto executor = co_await asio::this_coro::executor;
  net::Listener listener(executor, net::Address::tcp("127.0.0.1", 0));
  Client client(executor, listener.address());
  Outcome out;
  async::Scope scope(executor, "test");
  scope.spawn(serve_once(listener, "{\"q\":1}", answer, out.request, 0ms));
  try {
    const Headers headers;
    out.messages = co_await connect_unary(client, "/p.P/List", headers, "{\"q\":1}", 5s);
  } catch (const Error& error) {
    out.error = error.code();
    out.what = error.what();
  }
  co_await scope.join();
  co_return out;
}

TEST_CASE("unary calls", "[connect]") {
  auto out = test::run(unary_answered_by(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}"));
  CHECK(out.messages == "{}");
  CHECK_THAT(to_lower(out.request), Contains("content-type: application/json\r\n"));
  out = test::run(unary_answered_by(chunked("HTTP/1.1 409 Conflict\r\n", R"({"code":"already_exists"})")));
  CHECK(out.error == ErrorCode::already_exists);
  out = test::run(unary_answered_by("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
  CHECK(out.error == ErrorCode::internal);
}
