#include "core/http/sse.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "reply_double.h"
#include "run_task.h"

using namespace wrenn;
using namespace wrenn::http;

TEST_CASE("events are formatted field by field", "[sse]") {
  CHECK(format_sse("", "hello") == "data: hello\n\n");
  CHECK(format_sse("tick", "{}", "42") == "id: 42\nevent: tick\ndata: {}\n\n");
  CHECK(format_sse("", "") == "data: \n\n");
}

TEST_CASE("every kind of line break begins a new data field", "[sse]") {
  CHECK(format_sse("", "a\nb\r\nc\rd") == "data: a\ndata: b\ndata: c\ndata: d\n\n");
  CHECK(format_sse("", "\n") == "data: \ndata: \n\n");
  CHECK(format_sse("", "a\n\nevent: forged") == "data: a\ndata: \ndata: event: forged\n\n");
}

TEST_CASE("id and event must be one line", "[sse]") {
  CHECK_THROWS_AS(format_sse("a\nb", "x"), Error);
  CHECK_THROWS_AS(format_sse("", "x", "1\rdata: forged"), Error);
  CHECK_THROWS_AS(format_sse("", "x", std::string("1\0", 2)), Error);
}

TEST_CASE("an event stream says so and asks not to be buffered", "[sse]") {
  test::ReplyDouble reply;
  auto writer = test::run(begin_sse(reply));
  CHECK(reply.status == 200);
  CHECK(reply.fields.get("content-type") == "text/event-stream");
  CHECK(reply.fields.get("cache-control") == "no-cache");
  CHECK(reply.fields.get("x-accel-buffering") == "no");
}
