// WebSocket …/pty: a terminal in the capsule (spec/rest-api.md §6.3).
//
//   client ─ receive ─▶ PtyQueue ─ one call at a time ─▶ envd
//   client ◀─ output, exit ──────── one event stream ─── envd
//
// The shell outlives the connection: a client that comes back says `connect` with the tag.
#pragma once

#include "cp/handlers/stream_socket.h"

namespace wrenn::cp::handlers {

class Pty {
 public:
  explicit Pty(Services& services, Audience audience = Audience::team)
      : services_(services), audience_(audience) {}
  Task<> open(Request& request, Reply& reply);

 private:
  Services& services_;
  const Audience audience_;
};

}  // namespace wrenn::cp::handlers
