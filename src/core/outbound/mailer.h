// Ways to send a mail. What a mail says never gets into a log: it may hold a link that is a key.
#pragma once

#include <memory>
#include <string>

#include "core/async/task.h"
#include "core/outbound/mail_message.h"

namespace wrenn::outbound {

class Mailer {
 public:
  virtual ~Mailer() = default;
  // Returns when the next one has taken it over. Throws Error: invalid_argument for an address, too_large,
  // and what the kind of mailer adds.
  virtual async::Task<> send(Mail mail) = 0;
};

// Each mail becomes a file of `directory`, NAME.eml, which only the owner may read; names sort by time. For
// development and tests. Makes the directory if need be; throws SystemError, and so does send().
std::unique_ptr<Mailer> make_directory_mailer(std::string directory, Mailbox from);

// Where no mail server is configured: a line in the log is all.
std::unique_ptr<Mailer> make_silent_mailer();

}  // namespace wrenn::outbound
