// What the parts look like. Whether other programs read the whole as it was meant is for
// tests/component/outbound.
#include "core/outbound/mail_message.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/outbound/limits.h"
#include "core/outbound/smtp.h"

using namespace wrenn;
using namespace wrenn::outbound;

namespace {

constexpr UnixTime kAt{1'795'373'701'000'000};

std::string text_mail(std::string text) {
  return compose({{"ann@example.com"}, "Subject", std::move(text)}, {"wrenn@example.org"}, kAt, "u1");
}

std::string body(const std::string& mail) {
  return mail.substr(mail.find("\r\n\r\n") + 4);
}

std::string field(const Mail& mail, const std::string& name) {
  const auto text = compose(mail, {"wrenn@example.org", "Wrenn"}, kAt, "u1");
  const auto begin = text.find("\r\n" + name + ": ") + 4 + name.size();
  auto end = text.find("\r\n", begin);
  while (text[end + 2] == ' ') end = text.find("\r\n", end + 2);
  return text.substr(begin, end - begin);
}

}  // namespace

TEST_CASE("a mail of plain text", "[outbound]") {
  CHECK(text_mail("Hello,\nworld.\n") ==
        "Date: Sun, 22 Nov 2026 18:55:01 +0000\r\n"
        "From: wrenn@example.org\r\n"
        "To: ann@example.com\r\n"
        "Subject: Subject\r\n"
        "Message-ID: <u1@example.org>\r\n"
        "MIME-Version: 1.0\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "Hello,\r\nworld.\r\n");
}

TEST_CASE("quoted-printable", "[outbound]") {
  CHECK(body(text_mail("a=b é\t.")) == "a=3Db =C3=A9\t.\r\n");
  CHECK(body(text_mail(".\n..\r\n.x\rFrom here\nFromage")) ==
        "=2E\r\n=2E.\r\n=2Ex\r\n=46rom here\r\nFromage\r\n");
  CHECK(body(text_mail("space \ntab\t\nboth \t")) == "space=20\r\ntab=09\r\nboth =09\r\n");
  CHECK(body(text_mail("\n\n")) == "\r\n\r\n");
  CHECK(body(text_mail("")).empty());
  CHECK(body(text_mail(std::string("a\0b\x7f", 4))) == "a=00b=7F\r\n");
  CHECK(body(text_mail("bad \xff utf-8")) == "bad =EF=BF=BD utf-8\r\n");

  const std::string full(76, 'x');
  CHECK(body(text_mail(full)) == full + "\r\n");
  CHECK(body(text_mail(full + "y")) == full.substr(1) + "=\r\nxy\r\n");
  CHECK(body(text_mail(full.substr(3) + "é")) == full.substr(3) + "=\r\n=C3=A9\r\n");
  CHECK(body(text_mail(full.substr(1) + ".z")) == full.substr(1) + "=\r\n=2Ez\r\n");
}

TEST_CASE("no line is too long, and all is ASCII", "[outbound]") {
  std::string text;
  for (int i = 0; i < 3'000; ++i) text += i % 7 == 0 ? "ü=. " : i % 97 == 0 ? "\n." : "word ";
  const Mail mail{{"ann@example.com", "Ännchen \"the\" Tester " + std::string(300, 'n')},
                  "Größe " + std::string(500, 'x') + "ß",
                  text,
                  "<p>" + text + "</p>"};
  const auto whole = compose(mail, {"wrenn@example.org", "Wrenn"}, kAt, "0123456789abcdef0123456789abcdef");
  CHECK(whole.ends_with("\r\n"));
  for (auto line : split(whole, '\n')) {
    if (line.empty()) continue;
    REQUIRE(line.back() == '\r');
    line.remove_suffix(1);
    CHECK(line.size() <= 78);
    for (const char c : line) REQUIRE(((c >= 0x20 && c < 0x7f) || c == '\t'));
  }
}

TEST_CASE("subjects and names", "[outbound]") {
  const auto subject = [](std::string text) { return field({{"a@b.c"}, std::move(text), "x"}, "Subject"); };
  CHECK(subject("Activate your Wrenn account") == "Activate your Wrenn account");
  CHECK(subject("You've been added") == "You've been added");
  CHECK(subject("Grüße") == "=?UTF-8?B?R3LDvMOfZQ==?=");
  CHECK(subject("=?UTF-8?B?eA==?=") == "=?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?=");
  CHECK(subject("a\r\nBcc: eve@example.com\r\n\r\nbody") == "aBcc: eve@example.combody");
  CHECK(subject("a\tb\x01"
                "c") == "a b c");
  CHECK(subject("").empty());

  const auto to = [](std::string name) { return field({{"a@b.c", std::move(name)}, "s", "x"}, "To"); };
  CHECK(to("") == "a@b.c");
  CHECK(to("Ann Other") == "\"Ann Other\" <a@b.c>");
  CHECK(to("Ann \"A\" \\ <eve@example.com>,") == "\"Ann \\\"A\\\" \\\\ <eve@example.com>,\" <a@b.c>");
  // Escapes make it too long for its line.
  CHECK(to(std::string(40, '"')).starts_with("=?UTF-8?B?"));
  CHECK(to(std::string(30, '"')).starts_with("\"\\\""));
  CHECK(to("Änn") == "=?UTF-8?B?w4Rubg==?=\r\n <a@b.c>");
  CHECK(to("Ann\r\nBcc: eve@example.com") == "\"AnnBcc: eve@example.com\" <a@b.c>");
}

TEST_CASE("addresses", "[outbound]") {
  CHECK(clean_address(" ann.o'neil+tag@mail.example.com\r\n") == "ann.o'neil+tag@mail.example.com");
  CHECK(clean_address("a@localhost") == "a@localhost");
  CHECK(clean_address("a@b.c\r\nBcc") == "a@b.cBcc");  // one odd address, not two fields
  for (const char* text : {"",
                           "@",
                           "a",
                           "a@",
                           "@b",
                           "a@b@c",
                           "a b@c.d",
                           "a@b c",
                           "a@b.c>",
                           "<a@b.c>",
                           "a@b.c,d@e.f",
                           "a@b.c\nx: y",
                           "é@b.c",
                           "a@é.c",
                           "a@.b",
                           "a@b.",
                           "a@b..c",
                           "a@-b",
                           "a@[127.0.0.1]",
                           "\"a\"@b.c",
                           "a:b@c.d",
                           "a@b.c SIZE=1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(clean_address(text), Error);
  }
  CHECK_THROWS_AS(clean_address(std::string(250, 'a') + "@b.cd"), Error);
  CHECK(clean_address(std::string(250, 'a') + "@b.c").size() == 254);
}

TEST_CASE("a mail has an end", "[outbound]") {
  CHECK_THROWS_AS(text_mail(std::string(limits::kMailBytes + 1, 'x')), Error);
  std::string wide;
  while (wide.size() < limits::kMailBytes / 2) wide += "é";
  CHECK_THROWS_AS(text_mail(wide), Error);
}

TEST_CASE("settings of a mail server", "[outbound]") {
  for (const auto* text : {"auto", "tls", "starttls", "plain"})
    CHECK(to_string(from_string(text, static_cast<SmtpSecurity*>(nullptr)).value()) == text);
  CHECK_FALSE(from_string("ssl", static_cast<SmtpSecurity*>(nullptr)));
  const Mailbox from{"wrenn@example.org"};
  for (const auto* host : {"", "a b", "user@host", "host/path", "host?x", "host#x", "h\nx"}) {
    CAPTURE(host);
    CHECK_THROWS_AS(SmtpMailer({.host = host, .from = from}), Error);
  }
  CHECK_THROWS_AS(SmtpMailer({.host = "host", .port = 0, .from = from}), Error);
  CHECK_THROWS_AS(SmtpMailer({.host = "host", .from = {"nobody"}}), Error);
}
