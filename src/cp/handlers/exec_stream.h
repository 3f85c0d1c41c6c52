// WebSockets …/exec/stream and …/processes/{selector}/stream: output of a process as it comes
// (spec/rest-api.md §6.1, §6.2).
//
// Beyond the specification exec/stream takes, in `start`, envs, cwd, user, tag, "stdin": true and "encoding":
// "base64", and the messages stdin, stdin_close and signal; clients that do not know them notice nothing.
#pragma once

#include "cp/handlers/stream_socket.h"

namespace wrenn::cp::handlers {

class ExecStream {
 public:
  explicit ExecStream(Services& services, Audience audience = Audience::team)
      : services_(services), audience_(audience) {}
  Task<> exec(Request& request, Reply& reply);
  Task<> connect(Request& request, Reply& reply);

 private:
  Services& services_;
  const Audience audience_;
};

}  // namespace wrenn::cp::handlers
