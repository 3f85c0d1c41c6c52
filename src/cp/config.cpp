#include "cp/config.h"

#include <fmt/format.h>

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

void describe(config::Settings& settings, Config& values) {
  settings.address("listen", values.listen, "address of the API").env("WRENN_CP_LISTEN_ADDR");
  settings.text("dir", values.dir, "directory of the database").env("WRENN_DIR");
  settings.secret("database.url", values.database_url, "sqlite:///path; by default wrenn.db in `dir`")
      .env("DATABASE_URL");
  settings
      .address("agent.address", values.agent_address,
               "address of the host agent; by default unix:DIR/agent.sock")
      .env("CP_HOST_AGENT_ADDR");
  settings.secret("agent.token", values.agent_token, "what the host agent asks of its control plane")
      .env("WRENN_AGENT_TOKEN");
  describe_gateway(settings, values.gateway_domains);
  settings.integer("capsule.max_vcpus", values.max_vcpus, "most vCPUs of a capsule", 1, 1024);
  settings.size_mib("capsule.max_memory", values.max_memory_mb, "most memory of a capsule",
                    limits::kMemoryMbMin, std::int64_t{16} * 1024 * 1024);
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
