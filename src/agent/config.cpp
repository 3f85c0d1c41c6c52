#include "agent/config.h"

#include "agent/network/slot.h"

namespace wrenn::agent {

void describe(config::Settings& settings, Config& values) {
  settings.text("dir", values.dir, "directory of kernels, images, sandboxes and snapshots").env("WRENN_DIR");
  settings.address("listen", values.listen, "address for the control plane; by default unix:DIR/agent.sock")
      .env("WRENN_HOST_LISTEN_ADDR");
  settings.secret("token", values.token, "what the control plane must send; required on TCP")
      .env("WRENN_AGENT_TOKEN");
  settings.integer("slots", values.slots, "most sandboxes that run at once", 1, network::kLastSlot);
  settings.integer("ready_slots", values.ready_slots,
                   "networks made ahead of their use, so that no create waits for one", 0, 256);
  settings
      .integer("ready_sandboxes", values.ready_sandboxes,
               "machines made ahead of their use, of the kinds asked for last; 0: none", 0, 256)
      .env("WRENN_READY_SANDBOXES");
  settings.one_of("on_exit", values.on_exit, "what becomes of running sandboxes when the agent ends",
                  {"keep", "pause"});
  settings.text("qemu", values.qemu, "QEMU, by path or by name in PATH");
  settings.one_of("acceleration", values.acceleration, "auto: KVM if it really boots a guest, else TCG",
                  {"auto", "kvm", "tcg"});
  settings.one_of("disk", values.disk, "how a sandbox's changes to its disk are kept",
                  {"auto", "dm_snapshot", "qcow2"});
  settings
      .one_of("log.level", values.log_level, "lines below are dropped", {"debug", "info", "warn", "error"})
      .env("LOG_LEVEL");
  settings.rule([&values]() -> std::optional<std::string> {
    if (values.effective_listen().starts_with("unix:") || !values.token.empty()) return std::nullopt;
    return "listen: an agent that listens on TCP needs a token (WRENN_AGENT_TOKEN), the same as the control "
           "plane's";
  });
}

}  // namespace wrenn::agent
