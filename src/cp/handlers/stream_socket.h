// The WebSockets of a capsule share their beginning: upgrade, who asks, which capsule, first message. After
// the upgrade every failure is an {"type":"error"} message and a close (spec/rest-api.md §6).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/public.h"
#include "core/http/websocket.h"
#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

// Whose capsules a route is about.
enum class Audience {
  team,    // those of the team that the credentials stand for
  admins,  // those of the platform, for its admins
};

struct StreamSession {
  http::WebSocket& socket;
  Services& services;
  std::optional<service::Caller> caller;  // known from the headers of the upgrade
  model::SandboxId id;
  Audience audience = Audience::team;
  bool auth_seen = false;
  bool fatal_errors = false;  // the pty's error messages say "fatal": true
};

// Upgrades, runs `body`, sends its failure if it has one, closes. The capsule id is checked before the
// upgrade.
Task<> serve_stream(Services& services, Audience audience, Request& request, Reply& reply, bool fatal_errors,
                    std::function<Task<>(StreamSession&)> body);

// Asks for credentials if the upgrade had none, then for the running capsule. Throws Error(unauthenticated)
// "authentication failed", Error(permission_denied) for who is not of the audience, Error(not_found),
// PublicError invalid_state.
Task<service::CapsuleService::Running> open_capsule(StreamSession& session);

// The next message with a type that we know; others are skipped. Absent when the client is gone, properly or
// not. Throws Error(invalid_argument) for a malformed one.
Task<std::optional<api::ClientMessage>> receive(StreamSession& session);
// The first message, of whatever type, within limits::kStartMessageTimeout.
Task<std::optional<api::ClientMessage>> receive_first(StreamSession& session);
// Whatever comes is dropped; returns when the client is gone.
Task<> discard(StreamSession& session);

// {"type":"start","pid":7} and the like, sent whole.
Task<> send_pid(StreamSession& session, std::string_view type, std::uint32_t pid, std::string_view tag);
Task<> send_data(StreamSession& session, std::string_view type, std::string_view text);
Task<> send_base64(StreamSession& session, std::string_view type, std::string_view bytes);
Task<> send_exit(StreamSession& session, const api::envd::EndEvent& end);

}  // namespace wrenn::cp::handlers
