#include "cp/config.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/outbound/address_policy.h"
#include "cp/gateway/address.h"

namespace wrenn::cp {

using namespace std::chrono_literals;

std::string Config::effective_database_url() const {
  return database_url.empty() ? "sqlite://" + dir + "/wrenn.db" : database_url.reveal();
}

std::string Config::effective_agent_address() const {
  return agent_address.empty() ? "unix:" + dir + "/agent.sock" : agent_address;
}

void describe_gateway(config::Settings& settings, std::vector<std::string>& domains) {
  settings.list(
      "gateway.domains", domains,
      "ports of capsules are reached at PORT-ID.DOMAIN, for each of these domains; the first is told "
      "to clients, with its port if it has one");
  settings.rule([&domains]() -> std::optional<std::string> {
    for (const auto& domain : domains)
      if (!gateway::usable_domain(domain))
        return fmt::format(
            "gateway.domains: \"{}\" is no domain name; expected names such as "
            "sandboxes.example.com",
            domain);
    return std::nullopt;
  });
}

void describe_channels(config::Settings& settings, ChannelConfig& values) {
  settings.boolean("channels.allow_private", values.allow_private,
                   "notification channels may lead to any address, also of this machine and its network");
  settings.list("channels.allowed_networks", values.allowed_networks,
                "networks that channels may lead to besides public addresses, such as 10.1.0.0/16");
  settings.duration("channels.first_retry", values.first_retry,
                    "pause before the second attempt of a delivery", 10ms, 1h);
  settings.duration("channels.second_retry", values.second_retry, "pause before further attempts", 10ms, 1h);
  settings.duration("channels.unreachable_for", values.unreachable_for,
                    "events wait so long for a receiver to which no connection can be made", 0ms, 24h * 30);
  settings.rule([&values]() -> std::optional<std::string> {
    for (const auto& network : values.allowed_networks) {
      try {
        (void)outbound::Network::parse(network);
      } catch (const Error& error) {
        return fmt::format("channels.allowed_networks: {}", error.what());
      }
    }
    return std::nullopt;
  });
}

static void describe_mail(config::Settings& settings, Config& values) {
  settings.text("mail.smtp_host", values.smtp_host, "mail server; empty: none").env("SMTP_HOST");
  settings
      .integer("mail.smtp_port", values.smtp_port, "its port; 465 means TLS from the first byte", 1, 65'535)
      .env("SMTP_PORT");
  settings.text("mail.smtp_username", values.smtp_username, "empty: no sign-in there").env("SMTP_USERNAME");
  settings.secret("mail.smtp_password", values.smtp_password, "of smtp_username").env("SMTP_PASSWORD");
  settings.text("mail.from", values.smtp_from, "sender of our mails").env("SMTP_FROM_EMAIL");
  settings.one_of(
      "mail.security", values.smtp_security,
      "auto: TLS where the server has it, and always with a password; plain: servers on this machine only",
      {"auto", "tls", "starttls", "plain"});
  settings.text(
      "outbound.ca_file", values.outbound_ca_file,
      "certificates that mail servers, receivers and providers are checked with; empty: the machine's");
  settings.text(
      "mail.dir", values.mail_dir,
      "without a mail server, mails are put into this directory as files; empty: they are not sent");
}

static void describe_oauth(config::Settings& settings, Config& values) {
  settings
      .text("public_url", values.public_url,
            "where we are reached from outside: providers send browsers there")
      .env("CP_PUBLIC_URL");
  settings.text("oauth.github.client_id", values.github.client_id, "empty: no sign-in with GitHub")
      .env("OAUTH_GITHUB_CLIENT_ID");
  settings.secret("oauth.github.client_secret", values.github.client_secret, "of client_id")
      .env("OAUTH_GITHUB_CLIENT_SECRET");
  settings.text("oauth.github.url", values.github.url, "another one for GitHub Enterprise");
  settings.text("oauth.github.api_url", values.github.api_url, "another one for GitHub Enterprise");
  settings.rule([&values]() -> std::optional<std::string> {
    if (!values.github.client_id.empty() && values.github.client_secret.empty())
      return "oauth.github.client_id is set, but not oauth.github.client_secret";
    for (auto* url : {&values.app_url, &values.public_url, &values.github.url, &values.github.api_url}) {
      if (!url->starts_with("http://") && !url->starts_with("https://"))
        return fmt::format("\"{}\" is no URL; expected one such as https://app.example.com", *url);
      while (url->ends_with('/')) url->pop_back();
    }
    return std::nullopt;
  });
}

void describe(config::Settings& settings, Config& values) {
  settings.address("listen", values.listen, "address of the API").env("WRENN_CP_LISTEN_ADDR");
  settings.text("dir", values.dir, "directory of the database").env("WRENN_DIR");
  settings
      .secret("database.url", values.database_url,
              "sqlite:///path or postgres://…; by default wrenn.db in `dir`")
      .env("DATABASE_URL");
  settings
      .address("agent.address", values.agent_address,
               "address of the host agent; by default unix:DIR/agent.sock")
      .env("CP_HOST_AGENT_ADDR");
  settings.secret("agent.token", values.agent_token, "what the host agent asks of its control plane")
      .env("WRENN_AGENT_TOKEN");
  describe_gateway(settings, values.gateway_domains);
  settings
      .secret(
          "encryption_key", values.encryption_key,
          "64 hexadecimal digits that encrypt secrets of teams; by default encryption.key in `dir`, made at "
          "the first start")
      .env("WRENN_ENCRYPTION_KEY");
  describe_channels(settings, values.channels);
  settings.duration("events.retention", values.events_retention, "how long events are kept", 1min, 24h * 365);
  settings
      .secret("events.redis_url", values.redis_url,
              "redis://[user:password@]host[:port][/db]: events are copied into its stream wrenn:events; by "
              "default "
              "nowhere")
      .env("REDIS_URL");
  settings.text("app.url", values.app_url, "where the dashboard is: links in mails lead there")
      .env("OAUTH_REDIRECT_URL");
  describe_mail(settings, values);
  describe_oauth(settings, values);
  settings.list("app.allowed_origins", values.allowed_origins,
                "origins such as https://app.example.com whose pages may use sessions, beside our own");
  settings.list("trusted_proxies", values.trusted_proxies,
                "addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto count");
  settings.boolean("auth.rate_limits", values.rate_limits,
                   "attempts to sign in, sign up and reset passwords are counted; off for load tests only");
  settings.integer("capsule.max_vcpus", values.max_vcpus, "most vCPUs of a capsule", 1, 1024);
  settings.size_mib("capsule.max_memory", values.max_memory_mb, "most memory of a capsule",
                    limits::kMemoryMbMin, std::int64_t{16} * 1024 * 1024);
  settings.integer("team.max_concurrent_sandboxes", values.max_concurrent_sandboxes,
                   "capsules of a team that run at once; 0: any number", 0, 1'000'000);
  settings.integer("team.max_vcpus", values.team_max_vcpus, "vCPUs of them together; 0: any number", 0,
                   1'000'000);
  settings.size_mib("team.max_memory", values.team_max_memory_mb, "memory of them together; 0: any", 0,
                    std::int64_t{1} << 40);
  settings.duration(
      "capsule.answer_within", values.answer_within,
      "create and resume answer within this, running or not; `Prefer: wait=N` of a request overrides it");
  settings.duration("worker.reconcile_period", values.reconcile_period,
                    "how often rows are compared with what the host says", 100ms, 1h);
  settings.duration("worker.host_lost_after", values.host_lost_after,
                    "a host that is silent for so long is unreachable, and its capsules are missing", 1s,
                    24h);
  settings
      .one_of("log.level", values.log_level, "lines below are dropped", {"debug", "info", "warn", "error"})
      .env("LOG_LEVEL");
}

}  // namespace wrenn::cp
