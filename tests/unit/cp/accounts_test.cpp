// The pure parts of accounts, and keys.
#include <catch2/catch.hpp>

#include "core/async/loop.h"
#include "core/async/scope.h"
#include "core/base/error.h"
#include "cp/client_origin.h"
#include "cp/service/account_rules.h"
#include "cp/service/api_keys.h"
#include "cp/service/letters.h"
#include "cp/service/post.h"
#include "cp/service/rate_limiter.h"

using namespace wrenn;
using namespace wrenn::cp;
using namespace std::chrono_literals;

TEST_CASE("addresses are told apart without case and spaces") {
  CHECK(service::admit_email("  Alice@Example.COM\n") == "alice@example.com");
  for (const std::string bad : {"", "@", "a@", "@b", "a@b@c", "a b@c", "a,b@c", "<a@b>", "alice", "a@b\x01"})
    CHECK_THROWS_AS(service::admit_email(bad), Error);
  CHECK_THROWS_AS(service::admit_email(std::string(250, 'a') + "@b.cd"), Error);
}

TEST_CASE("passwords have 8 to 1024 bytes") {
  CHECK_THROWS_AS(service::admit_password("1234567"), Error);
  CHECK_NOTHROW(service::admit_password("12345678"));
  CHECK_NOTHROW(service::admit_password(std::string(1024, 'x')));
  CHECK_THROWS_AS(service::admit_password(std::string(1025, 'x')), Error);
}

TEST_CASE("names") {
  CHECK(service::admit_user_name("  Alice  ") == "Alice");
  CHECK_THROWS_AS(service::admit_user_name("   "), Error);
  CHECK_THROWS_AS(service::admit_user_name("a\nb"), Error);
  CHECK_THROWS_AS(service::admit_user_name("\xff\xfe"), Error);
  CHECK_THROWS_AS(service::admit_user_name(std::string(101, 'x')), Error);
  CHECK(service::admit_key_name("") == "Unnamed API Key");
  CHECK(service::admit_team_name(" Alice's team_1-@ ") == "Alice's team_1-@");
  for (const std::string bad : {"", "a/b", "<b>", "caf\xc3\xa9", "a\tb"}) CHECK_THROWS_AS(service::admit_team_name(bad), Error);
  CHECK_THROWS_AS(service::admit_team_name(std::string(129, 'x')), Error);
}

TEST_CASE("what an API key looks like, in both spellings") {
  const std::string key = "wrn_0123456789abcdef0123456789abcdef";
  CHECK(service::parse_api_key(key) == key);
  for (const auto* text : {"", "wrn_", "e2b_", "wrn_0123456789ABCDEF0123456789abcdef", "wrn_0123456789abcdef0123456789abcde",
                           "wrn_0123456789abcdef0123456789abcdef0", "xrn_0123456789abcdef0123456789abcdef",
                           "wrn_0123456789abcdef0123456789abcdeg", "e2b_0123456789abcdef0123456789abcdef",
                           "e2b_0123456789abcdef0123456789abcdef00000000"})
    CHECK_FALSE(service::parse_api_key(text));
  CHECK(service::new_api_key() != service::new_api_key());

  const auto other = service::e2b_spelling(key);
  CHECK(other.size() == 44);
  CHECK(other.rfind("e2b_0123456789abcdef0123456789abcdef", 0) == 0);
  CHECK(service::parse_api_key(other) == key);
  // One digit wrong: not some other key.
  auto typo = other;
  typo[10] = typo[10] == '0' ? '1' : '0';
  CHECK_FALSE(service::parse_api_key(typo));
}

TEST_CASE("a rate limiter allows a burst, then one a period") {
  service::RateLimiter limiter({3, 10s});
  const SteadyTime start{1h};
  for (int i = 0; i < 3; ++i) CHECK_FALSE(limiter.refuse("a", start));
  CHECK(limiter.refuse("a", start) == 10s);
  CHECK_FALSE(limiter.refuse("b", start));  // somebody else
  CHECK(limiter.refuse("a", start + 4s) == 6s);
  CHECK(limiter.refuse("a", start + 9500ms) == 1s);
  CHECK_FALSE(limiter.refuse("a", start + 10s));
  CHECK(limiter.refuse("a", start + 10s) == 10s);
  // After a long pause the whole burst again, and no more.
  for (int i = 0; i < 3; ++i) CHECK_FALSE(limiter.refuse("a", start + 1h));
  CHECK(limiter.refuse("a", start + 1h) == 10s);
  limiter.forget("a");
  CHECK_FALSE(limiter.refuse("a", start + 1h));
}

TEST_CASE("attempts from one IPv6 network are counted together") {
  const auto network = [](std::string_view address) { return service::network_of(address); };
  CHECK(network("2001:db8:1:2::1") == network("2001:DB8:1:2:ffff:0:0:3"));
  CHECK(network("2001:db8:1:2::1") != network("2001:db8:1:3::1"));
  CHECK(network("203.0.113.9") == "203.0.113.9");
  CHECK(network("203.0.113.9") != network("203.0.113.10"));
  CHECK(network("unix") == "unix");
  CHECK(network("::1/x") == "::1/x");
}

namespace {

// Fails as often as told, each time with the code told.
struct FickleMailer : outbound::Mailer {
  async::Task<> send(outbound::Mail mail) override {
    ++asked;
    if (failures-- > 0) throw Error(code, "not now");
    taken = mail.subject;
    co_return;
  }
  int asked = 0, failures = 0;
  ErrorCode code = ErrorCode::unavailable;
  std::string taken;
};

FickleMailer posted(int failures, ErrorCode code) {
  FickleMailer mailer;
  mailer.failures = failures;
  mailer.code = code;
  async::run_loop("test", [&]() -> async::Task<> {
    static constexpr std::array<std::chrono::milliseconds, 2> kPauses{1ms, 1ms};
    async::Scope scope(co_await asio::this_coro::executor, "test");
    service::Post post(mailer, scope, kPauses);
    post.send({"a@b.c", "Al", "Subject", "text", "html"});
    co_await scope.join();
  });
  return mailer;
}

}  // namespace

TEST_CASE("a mail that the server cannot take now is tried again") {
  CHECK(posted(0, ErrorCode::unavailable).asked == 1);
  const auto late = posted(2, ErrorCode::unavailable);
  CHECK(late.asked == 3);
  CHECK(late.taken == "Subject");
  CHECK(posted(2, ErrorCode::deadline_exceeded).taken == "Subject");
  CHECK(posted(9, ErrorCode::resource_exhausted).taken == "Subject");  // a directory on a full disk
  const auto never = posted(9, ErrorCode::unavailable);
  CHECK(never.asked == 3);
  CHECK(never.taken.empty());
  CHECK(posted(9, ErrorCode::failed_precondition).asked == 1);  // refused for good
}

TEST_CASE("letters hold what the user wrote as text") {
  const auto letter = service::activation_letter({"a@b.c", "<b>Al & \"Bo\"</b>"}, "https://app.test", "cafe");
  CHECK(letter.to_address == "a@b.c");
  CHECK(letter.subject == "Activate your Wrenn account");
  CHECK(letter.text.find("https://app.test/activate?token=cafe") != std::string::npos);
  CHECK(letter.text.find("Hello <b>Al & \"Bo\"</b>,") != std::string::npos);
  CHECK(letter.html.find("<b>") == std::string::npos);
  CHECK(letter.html.find("Hello &lt;b&gt;Al &amp; &quot;Bo&quot;&lt;/b&gt;,") != std::string::npos);
  CHECK(letter.html.find("href=\"https://app.test/activate?token=cafe\"") != std::string::npos);
}

TEST_CASE("where a request comes from") {
  const std::vector<std::string> trusted{"127.0.0.1", "10.0.0.1"};
  const auto with = [&](std::string peer, std::vector<std::string> hops, std::string scheme) {
    http::Request request;
    request.peer = std::move(peer);
    for (const auto& hop : hops) request.headers.add("X-Forwarded-For", hop);
    if (!scheme.empty()) request.headers.add("X-Forwarded-Proto", scheme);
    return client_origin(request, trusted);
  };
  CHECK(with("203.0.113.9:4711", {}, "").address == "203.0.113.9");
  CHECK(with("[2001:db8::1]:4711", {}, "").address == "2001:db8::1");
  // Who is no proxy of ours says nothing about others.
  CHECK(with("203.0.113.9:4711", {"1.2.3.4"}, "https").address == "203.0.113.9");
  CHECK_FALSE(with("203.0.113.9:4711", {}, "https").https);
  CHECK(with("127.0.0.1:1", {"203.0.113.9"}, "https").address == "203.0.113.9");
  CHECK(with("127.0.0.1:1", {"203.0.113.9"}, "https").https);
  CHECK_FALSE(with("127.0.0.1:1", {"203.0.113.9"}, "http").https);
  // What the client itself wrote in front does not count; a second proxy of ours is passed over.
  CHECK(with("127.0.0.1:1", {"6.6.6.6, 203.0.113.9, 10.0.0.1"}, "").address == "203.0.113.9");
  CHECK(with("127.0.0.1:1", {"6.6.6.6", "203.0.113.9"}, "").address == "203.0.113.9");
  CHECK(with("127.0.0.1:1", {}, "").address == "127.0.0.1");
  CHECK(with("[::ffff:127.0.0.1]:1", {"[2001:db8::7]:99"}, "").address == "2001:db8::7");
  CHECK(with("unix", {"203.0.113.9"}, "").address == "203.0.113.9");
  // What only looks like an IPv4 address within an IPv6 one stays what it is.
  CHECK(with("::ffff:[::2]/10.0", {}, "").address == "::ffff:[::2]/10.0");
  CHECK(with("[::ffff:10.0.0.7]:1", {}, "").address == "10.0.0.7");
}
