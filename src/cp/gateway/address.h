// Which requests are for a port of a guest, and which for the API: decided by Host and, where a Host cannot
// tell, by two headers (spec/e2b/control-api.md §2). Pure; nothing here knows whether there is such a
// capsule.
//
//   8080-cl-0….sbx.example.com      port 8080 of capsule cl-0…; `sbx.example.com` is a configured domain
//   8080-0….sbx.example.com         the same without the prefix, and
//   8080-0…-abc.sbx.example.com     with the client id that old SDKs append: it is ignored
//   localhost, 127.0.0.1, sandbox.… with E2b-Sandbox-Id and E2b-Sandbox-Port: what they say
//   everything else                 the API
//
// A host name that begins like a guest's is never answered by the API, even if what follows makes no sense.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/message.h"
#include "model/ids.h"

namespace wrenn::cp::gateway {

inline constexpr std::string_view kIdHeader = "E2b-Sandbox-Id";
inline constexpr std::string_view kPortHeader = "E2b-Sandbox-Port";

struct Destination {
  enum class Kind { api, guest, refused };
  Kind kind = Kind::api;
  std::string refusal;                 // of a refused one: what is wrong with the name
  std::string sandbox_id;              // as the client wrote it, in lower case
  std::optional<model::SandboxId> id;  // absent: no capsule can have this id
  std::uint16_t port = 0;
};

// `domains` as prepared by usable_domain().
Destination destination_of(const http::Request& request, const std::vector<std::string>& domains);

// A configured domain as names are compared with it: lower case, without port. Absent if it is none.
std::optional<std::string> usable_domain(std::string_view configured);
std::vector<std::string> usable_domains(const std::vector<std::string>& configured);

// What clients append to "PORT-ID.": the first configured domain. Names under localhost lead straight to the
// listener, so they get its port; others are assumed to be behind a TLS terminator on its default port,
// unless they are configured with one.
std::string public_domain(const std::vector<std::string>& configured, std::uint16_t listen_port);

}  // namespace wrenn::cp::gateway
