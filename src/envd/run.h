// The guest agent: runs processes, moves files, and tells how the machine is doing, for whoever holds its
// token.
#pragma once

#include <optional>
#include <string>

#include "api/envd.h"

namespace wrenn::envd {

struct Options {
  std::string host = "0.0.0.0";            // address to listen on; empty: every interface, IPv4 and IPv6
  unsigned short port = api::envd::kPort;  // 0: any free one
  std::optional<std::string> unix_socket;  // listen on this path instead of host and port
  // The machine is a capsule's guest and envd may change it: clock, host name, /run/wrenn, control groups,
  // the kernel's random numbers. Off, envd is an ordinary program that can be tried on any machine.
  bool in_guest = false;
  // Directory of a cgroup v2 below which the groups of user processes are made. Absent: the mounted hierarchy
  // in a guest, none elsewhere.
  std::optional<std::string> cgroup_root;
  // What listens on loopback is reachable at this address of the machine too ("off" for none). Absent: the
  // address of eth0 in a guest, none elsewhere.
  std::optional<std::string> forward_address;
  bool print_address = false;  // print "listening on HOST:PORT" to standard output once it does
};

// Serves until SIGTERM or SIGINT, then ends what it started. Throws Error when it cannot start (port taken,
// …).
void run(const Options& options);

}  // namespace wrenn::envd
