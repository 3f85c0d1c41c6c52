#include "envd/process/end_status.h"

#include <catch2/catch.hpp>

#include "envd/process/events.h"

using namespace wrenn;
using namespace wrenn::envd::process;

TEST_CASE("an end reads as Go prints it", "[envd]") {
  struct Case {
    sys::ExitStatus status;
    int code;
    bool exited;
    const char* text;
  };
  const Case cases[] = {
      {{.code = 0}, 0, true, "exit status 0"},
      {{.code = 255}, 255, true, "exit status 255"},
      {{.signal = 9}, -1, false, "signal: killed"},
      {{.signal = 15}, -1, false, "signal: terminated"},
      {{.signal = 6, .core_dumped = true}, -1, false, "signal: aborted (core dumped)"},
      {{.signal = 11}, -1, false, "signal: segmentation fault"},
      {{.signal = 34}, -1, false, "signal: signal 34"},
      {{.known = false}, -1, false, "unknown"},
  };
  for (const Case& one : cases) {
    const auto end = end_event(one.status);
    INFO(one.text);
    CHECK(end.exit_code == one.code);
    CHECK(end.exited == one.exited);
    CHECK(end.status == one.text);
    CHECK(end.error.has_value() == (one.code != 0));
  }
}

TEST_CASE("events are written as the wire types read them", "[envd]") {
  const Piece chunk{Channel::standard_error, std::string_view("a\0\xff", 3)};
  const auto message = json::from_json<api::envd::ProcessEventMessage>(data_event_json(chunk));
  REQUIRE(message.event.data);
  CHECK(message.event.data->stderr_data->data == chunk.data);
  CHECK_FALSE(message.event.data->stdout_data);
  CHECK(json::from_json<api::envd::ProcessEventMessage>(start_event_json(7)).event.start->pid == 7);
  CHECK(json::from_json<api::envd::ProcessEventMessage>(keepalive_event_json()).event.keepalive);
  const auto end = json::from_json<api::envd::ProcessEventMessage>(end_event_json(end_event({.code = 2})));
  CHECK(end.event.end->exit_code == 2);
}
