// Sends letters in the background: nobody waits for a mail server.
#pragma once

#include "core/async/scope.h"
#include "core/outbound/mailer.h"
#include "cp/service/letters.h"

namespace wrenn::cp::service {

class Post {
 public:
  // Both must outlive this; `background` must be joined before it dies. A mail that cannot be sent is logged,
  // without what was in it.
  Post(outbound::Mailer& mailer, async::Scope& background) : mailer_(mailer), background_(background) {}

  void send(Letter letter);

 private:
  async::Task<> try_to_deliver(Letter letter);

  outbound::Mailer& mailer_;
  async::Scope& background_;
};

}  // namespace wrenn::cp::service
