// A mail and its form on the wire (RFC 5322, MIME). What is composed is pure ASCII with lines of at most 78
// characters, whatever the languages of subject, names and text, so that any mail server passes it on
// unchanged.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace wrenn::outbound {

struct Mailbox {
  std::string address;  // ASCII: a@example.com; a host name of other letters in its xn-- form
  std::string name = {};
};

struct Mail {
  Mailbox to;
  std::string subject;
  std::string text;
  std::string html = {};  // empty: a mail of plain text
};

// Without what could begin another header field or be another address: line breaks and the spaces around it
// are gone. Throws Error(invalid_argument) if what is left is no address.
std::string clean_address(std::string_view address);

// The whole message, lines ended by CR LF. `unique` is letters and digits that no other mail has: it makes
// Message-ID and the boundary. Texts that are no UTF-8 lose what is not; a subject or name is cut at
// limits::kMailHeaderBytes. Throws Error(invalid_argument) for an address, Error(too_large) above
// limits::kMailBytes.
std::string compose(const Mail& mail, const Mailbox& from, UnixTime at, std::string_view unique);

}  // namespace wrenn::outbound
