// Sends letters in the background: nobody waits for a mail server.
#pragma once

#include <span>

#include "core/async/scope.h"
#include "core/outbound/mailer.h"
#include "cp/limits.h"
#include "cp/service/letters.h"

namespace wrenn::cp::service {

class Post {
 public:
  using Pauses = std::span<const std::chrono::milliseconds>;
  // All must outlive this; `background` must be joined before it dies. A mail that the server cannot take now
  // is tried again after each of `pauses`, without room on and on; what cannot be sent is logged in short. What
  // waits is lost when the process ends: whoever needs it asks again.
  Post(outbound::Mailer& mailer, async::Scope& background, Pauses pauses = limits::kMailPauses)
      : mailer_(mailer), background_(background), pauses_(pauses) {}

  void send(Letter letter);

 private:
  async::Task<> deliver(Letter letter);
  async::Task<> try_to_deliver(Letter letter);

  outbound::Mailer& mailer_;
  async::Scope& background_;
  Pauses pauses_;
};

}  // namespace wrenn::cp::service
