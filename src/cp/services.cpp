#include "cp/services.h"

#include "api/agent.h"
#include "core/outbound/smtp.h"
#include "cp/gateway/address.h"

namespace wrenn::cp {

static http::Headers agent_headers(const Config& config) {
  http::Headers headers;
  if (!config.agent_token.empty()) headers.set(api::agent::kTokenHeader, config.agent_token.reveal());
  return headers;
}

static std::unique_ptr<outbound::Mailer> make_mailer(const Config& config) {
  const outbound::Mailbox from{config.smtp_from, "Wrenn"};
  if (!config.smtp_host.empty()) {
    outbound::SmtpSettings smtp;
    smtp.host = config.smtp_host;
    smtp.port = static_cast<std::uint16_t>(config.smtp_port);
    smtp.username = config.smtp_username;
    smtp.password = config.smtp_password;
    smtp.from = from;
    smtp.security = *from_string(config.smtp_security, static_cast<outbound::SmtpSecurity*>(nullptr));
    smtp.ca_file = config.outbound_ca_file;
    return std::make_unique<outbound::SmtpMailer>(std::move(smtp));
  }
  if (!config.mail_dir.empty()) return outbound::make_directory_mailer(config.mail_dir, from);
  return outbound::make_silent_mailer();
}

static oauth::Registry make_providers(const Config& config, outbound::Client& client) {
  oauth::Registry providers;
  if (!config.github.client_id.empty()) providers.add(std::make_unique<oauth::Github>(client, config.github));
  return providers;
}

// Whose pages may act for those who are signed in.
static std::vector<std::string> origins_of(const Config& config) {
  auto origins = config.allowed_origins;
  for (const auto& url : {config.app_url, config.public_url}) {
    const auto host = url.find("://") + 3;
    origins.push_back(url.substr(0, url.find('/', host)));
  }
  return origins;
}

Services::Services(async::Executor executor, const Config& settings, db::Database& data, std::uint16_t port)
    : config(settings),
      database(data),
      background(executor, "cp background"),
      operations(executor, "cp operations"),
      shutdown(executor),
      credentials(database, background),
      revocations(
          database.on_notification(executor, std::string(service::kRevocations),
                                   [this](std::optional<std::string_view>) { credentials.forget_all(); })),
      authenticator(credentials, origins_of(config)),
      mailer(make_mailer(config)),
      post(*mailer, background),
      accounts(database, credentials, post, config.app_url, config.rate_limits),
      outbound({limits::kOauthThreads, config.outbound_ca_file, {}}),
      providers(make_providers(config, outbound)),
      oauth_sign_in(database, accounts, providers, config.public_url),
      teams(database, credentials, post, config.app_url),
      api_keys(database, credentials),
      administration(database, credentials),
      hosts(executor, database, config.effective_agent_address(), agent_headers(config)),
      known_hosts(database, hosts),
      templates(database, hosts),
      under_way(operations, metrics),
      limits({config.max_concurrent_sandboxes, config.team_max_vcpus, config.team_max_memory_mb}),
      quotas(limits, usage),
      team_usage(database),
      metrics_archive(operations, database, hosts),
      capsules(under_way, database, hosts, templates, quotas, metrics_archive),
      snapshots(under_way, database, hosts, capsules, templates),
      notifier(executor, config, database, metrics),
      idempotency(database, notifier.key),
      domain(gateway::public_domain(config.gateway_domains, port)) {
  credentials.hears_others = [this] { return database.listening(); };
}

}  // namespace wrenn::cp
