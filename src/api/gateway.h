// The gateway to ports of guests, as control plane and agent share it: the agent's path for a port, and the
// answers a client gets instead of the guest's. Either of the two gives them, whichever knows first; the
// shapes are those of spec/e2b/control-api.md §2, which E2B's SDKs rely on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/message.h"

namespace wrenn::api::gateway {

// Decimal, 1 to 65535, no sign and no leading zero.
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept;

// "/a?b" of port 8080 → "/proxy/cl-…/8080/a?b", nothing decoded. `target` begins with a slash.
std::string agent_target(std::string_view sandbox_id, std::uint16_t port, std::string_view target);
// The way back: "/a?b". The target must be one of agent_target().
std::string guest_target(std::string_view agent_target);

// Paths of envd that are the host's own: nobody asks for them from outside (spec/e2b/control-api.md §2).
// `path` is not decoded.
bool is_internal_envd_path(std::string_view path);

// What a client is told. With a sandbox the JSON names it; a port that is part of the problem, too.
struct Refusal {
  int status = 502;
  std::string message;
  std::string sandbox_id;
  std::optional<std::uint16_t> port;
};
Refusal sandbox_not_found(std::string_view sandbox_id);
Refusal port_closed(std::string_view sandbox_id, std::uint16_t port);
// It is on its way to running.
Refusal sandbox_changing(std::string_view sandbox_id, std::string_view state);

// JSON {"sandboxId","message","port","code"}, or a small page for a browser: a client whose Accept names
// text/html and not JSON.
http::Response render(const Refusal& refusal, const http::Request& request);
// 404 {"message","path","code"} for is_internal_envd_path().
http::Response internal_path(std::string_view path);

}  // namespace wrenn::api::gateway
