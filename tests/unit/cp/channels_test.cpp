// Notification channels: what a configuration must be, what is sent, and what an attempt means.
#include <catch2/catch.hpp>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/json/reader.h"
#include "cp/channels/limits.h"
#include "cp/channels/providers.h"
#include "cp/channels/text.h"
#include "cp/channels/url.h"
#include "cp/channels/verdict.h"
#include "cp/service/channel_rules.h"

using namespace wrenn;
using namespace wrenn::cp;
using namespace std::chrono_literals;
using Values = channels::Config;

namespace {

std::string problem_of(std::string_view provider, const Values& config) {
  const auto* found = channels::find_provider(provider);
  REQUIRE(found);
  return found->problem(config).value_or("");
}

api::Event sample() {
  api::Event event;
  event.event = "capsule.pause";
  event.outcome = "success";
  event.timestamp = "2026-05-19T14:23:01Z";
  event.team_id = "team-1";
  event.actor = {"user", "usr-1", "alice@example.com"};
  event.resource = {"cl-1", "sandbox"};
  event.metadata["reason"] = "ttl_expired";
  return event;
}

outbound::Request request_of(std::string_view provider, const Values& config, const api::Event& event) {
  const channels::Message message{"e1", json::to_json(event), *parse_rfc3339("2026-05-19T14:23:02Z"),
                                  "attempt-1"};
  return channels::find_provider(provider)->request(config, message);
}

std::string member(const std::string& body, std::string_view name) {
  const auto value = json::parse(body);
  const auto* found = value.find(name);
  REQUIRE(found);
  REQUIRE(found->as_string());
  return *found->as_string();
}

}  // namespace

TEST_CASE("a message says what a team wants to know") {
  CHECK(channels::message_text(sample()) ==
        "Capsule cl-1 paused\n\nEvent: capsule.pause\nOutcome: success\nReason: ttl_expired\nResource: "
        "sandbox cl-1\n"
        "Actor: alice@example.com (usr-1)\nTeam: team-1\nTime: 2026-05-19T14:23:01Z");
  auto failed = sample();
  failed.outcome = "error";
  failed.error = "no space\nleft";
  failed.metadata.clear();
  failed.actor = {"system", "", ""};
  CHECK(channels::message_text(failed) ==
        "Capsule cl-1 could not be paused\n\nEvent: capsule.pause\nOutcome: error\nResource: sandbox cl-1\n"
        "Actor: system\nTeam: team-1\nTime: 2026-05-19T14:23:01Z\nError: no space left");
  failed.actor = {"api_key", "key-1", "ci"};
  CHECK(channels::message_text(failed).find("\nActor: api_key ci (key-1)\n") != std::string::npos);
  api::Event host;
  host.event = "host.down";
  host.resource = {"host-1", "host"};
  host.actor.type = "system";
  CHECK(channels::message_text(host).starts_with(
      "Host host-1 is down\n\nEvent: host.down\nResource: host host-1\n"));
}

TEST_CASE("a long message is cut between characters") {
  auto event = sample();
  for (int i = 0; i < 2000; ++i) event.error += "ü";
  const auto text = channels::message_text(event);
  CHECK(text.size() <= channels::limits::kMessageBytes + 3);
  CHECK(is_valid_utf8(text));
  CHECK(text.ends_with("…"));
}

// The value was computed with OpenSSL: printf '%s' '2026-05-19T14:23:02Z.{"a":1}' | openssl dgst -sha256
// -hmac s3cret
TEST_CASE("a webhook is signed over timestamp and body") {
  CHECK(channels::webhook_signature("s3cret", "2026-05-19T14:23:02Z", R"({"a":1})") ==
        "sha256=d501f035fd096a313165897459c849ccf91f426dcadaf22e2a0cdabc1be88c4e");
  const auto request =
      request_of("webhook", {{"url", "https://example.com/hook"}, {"secret", "s"}}, sample());
  CHECK(request.method == "POST");
  CHECK(request.url == "https://example.com/hook");
  CHECK(request.body == json::to_json(sample()));
  CHECK(request.headers.get("Content-Type") == "application/json");
  CHECK(request.headers.get("X-Wrenn-Delivery") == "attempt-1");
  CHECK(request.headers.get("X-Wrenn-Timestamp") == "2026-05-19T14:23:02Z");
  CHECK(request.headers.get("X-WRENN-SIGNATURE") ==
        channels::webhook_signature("s", "2026-05-19T14:23:02Z", request.body));
  CHECK(request.timeout == 10s);
}

TEST_CASE("ids of attempts are UUIDs of version 4") {
  const auto id = channels::random_uuid();
  REQUIRE(id.size() == 36);
  for (const std::size_t at : {8, 13, 18, 23}) CHECK(id[at] == '-');
  CHECK(id[14] == '4');
  CHECK(std::string("89ab").find(id[19]) != std::string::npos);
  CHECK(id != channels::random_uuid());
}

TEST_CASE("each service gets what it understands") {
  const auto text = channels::message_text(sample());
  const auto discord =
      request_of("discord", {{"webhook_url", "https://discord.com/api/webhooks/1/t"}}, sample());
  CHECK(member(discord.body, "content") == text);
  CHECK(discord.body.find(R"("allowed_mentions":{"parse":[]})") != std::string::npos);

  auto sly = sample();
  sly.metadata["reason"] = "<!channel> & co";
  const auto slack = request_of("slack", {{"webhook_url", "https://hooks.slack.com/services/T/B/X"}}, sly);
  CHECK(member(slack.body, "text").find("&lt;!channel&gt; &amp; co") != std::string::npos);

  const auto teams = request_of("teams", {{"webhook_url", "https://x.webhook.office.com/"}}, sample());
  CHECK(member(teams.body, "@type") == "MessageCard");
  CHECK(member(teams.body, "text").starts_with("Capsule cl-1 paused\n\n"));

  const auto google =
      request_of("googlechat", {{"webhook_url", "https://chat.googleapis.com/v1/spaces/A"}}, sample());
  CHECK(member(google.body, "text") == text);

  const auto telegram = request_of("telegram", {{"bot_token", "1:a"}, {"chat_id", "-5"}}, sample());
  CHECK(telegram.url == "https://api.telegram.org/bot1:a/sendMessage");
  CHECK(member(telegram.body, "chat_id") == "-5");
  CHECK(member(telegram.body, "text") == text);

  const auto matrix = request_of(
      "matrix",
      {{"homeserver_url", "https://m.example/"}, {"access_token", "tok"}, {"room_id", "!r:m.example"}},
      sample());
  CHECK(matrix.method == "PUT");
  CHECK(matrix.url == "https://m.example/_matrix/client/v3/rooms/%21r%3Am.example/send/m.room.message/e1");
  CHECK(matrix.headers.get("Authorization") == "Bearer tok");
  CHECK(member(matrix.body, "msgtype") == "m.text");
  CHECK(member(matrix.body, "body") == text);
}

TEST_CASE("configurations that can work, and those that cannot") {
  struct Case {
    std::string_view provider;
    Values config;
    std::string_view problem;
  };
  const std::string teams_tail =
      "/11111111-1111-1111-1111-111111111111@22222222-2222-2222-2222-222222222222/IncomingWebhook/"
      "33333333333333333333333333333333/44444444-4444-4444-4444-444444444444";
  const std::vector<Case> cases{
      {"webhook", {{"url", "https://example.com/a?b=c"}}, ""},
      {"webhook", {{"url", "http://[::1]:8080"}, {"more", "kept"}}, ""},
      {"webhook", {}, "config.url is required"},
      {"webhook", {{"url", ""}}, "config.url is required"},
      {"webhook", {{"url", "ftp://example.com"}}, "config.url: must be an http:// or https:// URL"},
      {"webhook", {{"url", "https://user@example.com"}}, "config.url: must be an http:// or https:// URL"},
      {"webhook", {{"url", "https://example.com:99999/"}}, "config.url: must be an http:// or https:// URL"},
      {"discord", {{"webhook_url", "https://discord.com/api/webhooks/123/a-B_c"}}, ""},
      {"discord",
       {{"webhook_url", "https://discord.com.evil.example/api/webhooks/123/abc"}},
       "config.webhook_url: must look like"},
      {"discord",
       {{"webhook_url", "http://discord.com/api/webhooks/123/abc"}},
       "config.webhook_url: must look like"},
      {"slack", {{"webhook_url", "https://hooks.slack.com/services/T1/B2/x3"}}, ""},
      {"slack",
       {{"webhook_url", "https://hooks.slack.com/services/T1/B2"}},
       "config.webhook_url: must look like"},
      {"teams", {{"webhook_url", "https://a.webhook.office.com/webhookb2" + teams_tail}}, ""},
      {"teams",
       {{"webhook_url", "https://a.example.com/webhookb2" + teams_tail}},
       "config.webhook_url: must look like"},
      {"teams",
       {{"webhook_url", "https://a.webhook.office.com/webhookb2/x"}},
       "config.webhook_url: must look like"},
      {"googlechat", {{"webhook_url", "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t"}}, ""},
      {"googlechat", {{"webhook_url", "https://googleapis.com/v1"}}, "config.webhook_url: must look like"},
      {"telegram", {{"bot_token", "123:ABC"}, {"chat_id", "@news"}}, ""},
      {"telegram", {{"bot_token", "123:A/../B"}, {"chat_id", "5"}}, "config.bot_token: must look like"},
      {"telegram", {{"bot_token", "123:ABC"}}, "config.chat_id is required"},
      {"telegram", {{"bot_token", "123:ABC"}, {"chat_id", "news"}}, "config.chat_id: must be"},
      {"matrix", {{"homeserver_url", "https://m"}, {"access_token", "t"}, {"room_id", "!a:m"}}, ""},
      {"matrix",
       {{"homeserver_url", "https://m"}, {"access_token", "a b"}, {"room_id", "!a:m"}},
       "config.access_token"},
      {"matrix",
       {{"homeserver_url", "https://m"}, {"access_token", "t"}, {"room_id", "#a:m"}},
       "config.room_id"},
      {"matrix", {{"access_token", "t"}, {"room_id", "!a:m"}}, "config.homeserver_url is required"},
  };
  for (const auto& one : cases) {
    const auto problem = problem_of(one.provider, one.config);
    CAPTURE(one.provider, one.problem, problem);
    CHECK((one.problem.empty() ? problem.empty() : problem.starts_with(one.problem)));
  }
}

TEST_CASE("names, events and providers of channels") {
  using namespace service;
  CHECK(admit_channel_name("  My Hook ") == "my-hook");
  for (const auto* name : {"", " ", "-a", "a/b", "é"}) CHECK_THROWS_AS(admit_channel_name(name), Error);
  using Types = std::vector<std::string>;
  CHECK(admit_event_types({"capsule.created", "host.up", "capsule.create"}) ==
        Types{"capsule.create", "host.up"});
  CHECK(admit_event_types({"capsule.running", "template.snapshot.deleted"}) ==
        Types{"capsule.resume", "template.snapshot.delete"});
  for (const Types& types :
       {Types{}, Types{"capsule.state.changed"}, Types{"channel.test"}, Types{"host.up", "x"}})
    CHECK_THROWS_AS(admit_event_types(types), Error);
  CHECK(admit_provider("matrix").name == "matrix");
  CHECK_THROWS_AS(admit_provider("smoke"), Error);
  const auto& webhook = admit_provider("webhook");
  Values config{{"url", "https://example.com"}};
  CHECK_NOTHROW(admit_channel_config(webhook, config));
  config["long"] = std::string(5000, 'x');
  CHECK_THROWS_AS(admit_channel_config(webhook, config), Error);
  config["long"] = "two\nlines";
  CHECK_THROWS_AS(admit_channel_config(webhook, config), Error);
}

TEST_CASE("configurations are sealed value by value") {
  const crypto::Aead key(Secret(std::string(32, 'k'))), other(Secret(std::string(32, 'l')));
  const Values config{{"url", "https://example.com"}, {"secret", "s3cret"}};
  const auto sealed = channels::seal(key, config);
  CHECK(sealed.find("example") == std::string::npos);
  CHECK(sealed.find("\"secret\":") != std::string::npos);
  CHECK(channels::unseal(key, sealed) == config);
  CHECK_THROWS_AS(channels::unseal(other, sealed), Error);
}

TEST_CASE("three refusals are the end of a delivery, a receiver that cannot be reached is waited for") {
  const ChannelConfig config;
  const auto at = [](std::int64_t s) { return UnixTime{s * 1'000'000}; };
  store::Delivery delivery;
  delivery.created_at = at(0);
  const channels::Outcome good{204, {}, ""}, refused{500, {}, ""}, redirect{302, {}, ""};
  const channels::Outcome down{std::nullopt, ErrorCode::unavailable, "connection refused"};
  const channels::Outcome hangs{std::nullopt, ErrorCode::deadline_exceeded, "no answer"};
  const channels::Outcome forbidden{std::nullopt, ErrorCode::permission_denied, "loopback"};

  CHECK(judge(delivery, good, at(1), config).status == "delivered");

  for (const auto& outcome : {refused, redirect, hangs, forbidden}) {
    delivery.refusals = 0;
    auto verdict = judge(delivery, outcome, at(1), config);
    CHECK(verdict.status == "pending");
    CHECK(verdict.refused);
    CHECK(verdict.due_at == at(11));
    delivery.refusals = 1;
    CHECK(judge(delivery, outcome, at(11), config).due_at == at(41));
    delivery.refusals = 2;
    verdict = judge(delivery, outcome, at(41), config);
    CHECK(verdict.status == "dead");
    CHECK_FALSE(verdict.error.empty());
  }

  delivery.refusals = 0;
  for (const int attempts : {0, 1, 2, 100}) {
    delivery.attempts = attempts;
    const auto verdict = judge(delivery, down, at(1), config);
    CHECK(verdict.status == "pending");
    CHECK_FALSE(verdict.refused);
    CHECK(verdict.due_at == at(attempts == 0 ? 11 : 31));
  }
  CHECK(judge(delivery, down, at(24 * 3600), config).status == "dead");

  ChannelConfig strict;
  strict.unreachable_for = 0ms;
  delivery.refusals = 2;
  CHECK(judge(delivery, down, at(1), strict).status == "dead");
}
