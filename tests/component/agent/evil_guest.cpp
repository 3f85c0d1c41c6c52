#include "evil_guest.h"

namespace wrenn::test {

namespace {

constexpr auto kDrip = 5ms;  // between the bytes of a slow answer

std::string target_of(std::string_view head) {
  const auto begin = head.find(' ') + 1;
  return std::string(head.substr(begin, head.find(' ', begin) - begin));
}

Task<> answer_as_envd(RawClient& client, std::string_view target) {
  if (target == "/health")
    co_await client.send(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 19\r\n\r\n{\"version\":\"1.2.3\"}");
  else
    co_await client.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
}

// Not at once: a close with unread bytes would reset the connection and take our answer away.
Task<> close_properly(RawClient& client) {
  client.stream().shutdown_write();
  co_await client.read_to_end();
}

}  // namespace

bool EvilGuest::is_victim(std::string_view target) const {
  switch (evil_) {
    case Evil::nothing:
      return false;
    case Evil::health:
      return target == "/health";
    case Evil::init:
      return target == "/init";
    case Evil::metrics:
      return target == "/metrics";
    case Evil::calls:
      return target != "/health" && target != "/init";
    case Evil::everything:
      return true;
  }
  return false;
}

Task<> EvilGuest::serve(RawClient& client) {
  const auto held = script_;  // it may be replaced meanwhile
  const Script& script = *held;
  const bool early = script.early && evil_ == Evil::everything;
  if (early) co_await client.send(script.answer);
  const std::string target = target_of(co_await client.read_until("\r\n\r\n"));
  if (!is_victim(target)) {
    co_await answer_as_envd(client, target);
    co_await close_properly(client);
    co_return;
  }
  if (target != "/metrics") ++victims_;
  if (!early && !script.answer.empty()) co_await client.send(script.answer);
  while (script.slowly) {
    co_await client.send("x");
    co_await async::sleep(kDrip);
  }
  if (!script.flood.empty()) {
    for (;;) {
      co_await client.stream().write(script.flood);
      flooded_bytes_ += script.flood.size();
    }
  }
  if (script.after == Script::After::close) co_await close_properly(client);
  if (script.after == Script::After::reset) client.stream().abort();
  if (script.after == Script::After::hold) co_await client.stream().peer_closed();
}

}  // namespace wrenn::test
