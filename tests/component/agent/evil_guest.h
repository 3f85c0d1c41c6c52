// A guest whose envd lies: a TCP listener that answers health and init as envd would, until it is told to
// answer by a script of bytes that keep no rule.
#pragma once

#include "http/loopback.h"

namespace wrenn::test {

// What is done with a connection once the head of a request has come.
struct Script {
  enum class After { close, reset, hold };

  std::string answer;          // sent first
  After after = After::close;  // then; `hold` reads nothing more and waits for the other side
  std::string flood = {};      // instead of `after`: sent again and again while anybody takes it
  bool slowly = false;         // instead of `after`: single bytes for ever
  bool early = false;          // the answer goes before the request has come
};

class EvilGuest {
 public:
  enum class Evil { nothing, health, init, metrics, calls, everything };

  void answer_well() { evil_ = Evil::nothing; }
  void answer_by(Script script, Evil evil) {
    script_ = std::make_shared<const Script>(std::move(script));
    evil_ = evil;
  }
  // Requests that were answered by the script; without those for metrics, which the agent sends when it
  // likes.
  int victims() const { return victims_; }
  std::uint64_t flooded_bytes() const { return flooded_bytes_; }

  PeerFunction peer() {
    return [this](RawClient& client) { return serve(client); };
  }

 private:
  Task<> serve(RawClient& client);
  bool is_victim(std::string_view target) const;

  std::shared_ptr<const Script> script_ = std::make_shared<const Script>();
  Evil evil_ = Evil::nothing;
  int victims_ = 0;
  std::uint64_t flooded_bytes_ = 0;
};

}  // namespace wrenn::test
