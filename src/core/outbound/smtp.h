// Mails over SMTP (RFC 5321), with or without a user name.
#pragma once

#include <atomic>
#include <optional>

#include "core/async/offload.h"
#include "core/base/secret.h"
#include "core/outbound/limits.h"
#include "core/outbound/mailer.h"

namespace wrenn::outbound {

enum class SmtpSecurity {
  automatic,     // port 465: TLS from the first byte; otherwise STARTTLS where the server offers it, and
                 // nowhere else if there is a password
  implicit_tls,  // TLS from the first byte, on any port
  starttls,      // no mail without STARTTLS
  plain,         // no TLS even for a password: servers on this machine
};
std::string_view to_string(SmtpSecurity security) noexcept;  // "auto", "tls", "starttls", "plain"
std::optional<SmtpSecurity> from_string(std::string_view text, SmtpSecurity*) noexcept;

struct SmtpSettings {
  std::string host;
  std::uint16_t port = 587;
  std::string username = {};  // empty: no AUTH
  Secret password = {};
  Mailbox from;
  SmtpSecurity security = SmtpSecurity::automatic;
  std::string ca_file = {};                                  // empty: the machine's
  std::chrono::milliseconds timeout = limits::kMailTimeout;  // of one mail, from send() on
};

class SmtpMailer : public Mailer {
 public:
  explicit SmtpMailer(SmtpSettings settings);  // throws Error(invalid_argument) for a host or an address
  ~SmtpMailer() override;                      // ends what is under way

  // Adds Error: unauthenticated (user name or password), failed_precondition (the server refuses this mail
  // for good, e.g. an unknown recipient), unavailable (not now), deadline_exceeded. A mail whose answer was
  // lost may have been sent.
  async::Task<> send(Mail mail) override;
  // The same on the calling thread, which it blocks.
  void send_now(const Mail& mail);

 private:
  void run(const Mail& mail, SteadyTime started);

  SmtpSettings settings_;
  std::string url_;
  std::atomic<bool> stopped_ = false;
  async::ThreadPool threads_;  // the last member: its threads use the others
};

}  // namespace wrenn::outbound
