// Settings of the host agent.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/secret.h"
#include "core/config/settings.h"

namespace wrenn::agent {

struct Config {
  std::string dir = "/var/lib/wrenn";
  // "unix:/path" (mode 0600: who may open the socket may command the agent) or TCP "host:port", which needs a
  // token. Empty: unix:DIR/agent.sock.
  std::string listen;
  Secret token;               // asked for in the field api::agent::kTokenHeader; empty only on a Unix socket
  std::int64_t slots = 1000;  // most sandboxes that run at once
  std::int64_t ready_slots = 8;  // networks kept made for the next sandboxes
  // Machines kept made for the next sandboxes; each costs what an idle sandbox does.
  std::int64_t ready_sandboxes = 2;
  std::string on_exit = "keep";  // what becomes of running sandboxes when the agent ends: "keep" or "pause"
  std::string qemu = "qemu-system-x86_64";
  std::string acceleration = "auto";  // "auto", "kvm" or "tcg"
  std::string disk = "auto";          // "auto", "dm_snapshot" or "qcow2"
  std::string log_level = "info";

  std::string effective_listen() const { return listen.empty() ? "unix:" + dir + "/agent.sock" : listen; }
};

// Binds every setting and the rules between them; see core/config/settings.h.
void describe(config::Settings& settings, Config& values);

}  // namespace wrenn::agent
