#include "agent/network/host_network.h"

#include "core/log/log.h"
#include "linux/nft.h"
#include "linux/sysctl.h"

namespace wrenn::agent::network {

void prepare_host_network(const HostRules& rules) {
  constexpr const char* kForwarding = "net.ipv4.ip_forward";
  if (sys::read_sysctl(kForwarding) != "1") {
    // Rules first: turning forwarding on opens nothing that was closed before.
    sys::apply_nft(render_host_rules(rules));
    sys::write_sysctl(kForwarding, "1");
    log::info("turned on IPv4 forwarding, which the guests' way out needs; it stays on",
              {{"setting", kForwarding}});
    return;
  }
  sys::apply_nft(render_host_rules(rules));
}

void remove_host_network() {
  sys::delete_nft_table("inet", "wrenn");
}

}  // namespace wrenn::agent::network
