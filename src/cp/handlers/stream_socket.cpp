#include "cp/handlers/stream_socket.h"

#include <algorithm>
#include <array>

#include "core/async/timeout.h"
#include "cp/errors.h"
#include "cp/handlers/exit_signal.h"
#include "cp/limits.h"

namespace wrenn::cp::handlers {

static constexpr unsigned kCloseNormal = 1000, kCloseGoingAway = 1001, kClosePolicy = 1008;
static constexpr auto kKeepAlive =
    std::chrono::seconds(30);  // pings after this silence; dead after twice as long

static std::string message_of(std::string_view type) {
  std::string text = "{\"type\":";
  json::append_string(text, type);
  return text;
}

static Task<> send_error(StreamSession& session, std::string message) {
  std::string text = message_of("error");
  text += ",\"data\":";
  json::append_string(text, message);
  text += session.fatal_errors ? ",\"fatal\":true}" : "}";
  co_await session.socket.send_text(text);
}

static Task<> run_body(StreamSession& session, std::function<Task<>(StreamSession&)> body) {
  std::exception_ptr failure;
  try {
    co_await body(session);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (async::is_cancellation(failure)) std::rethrow_exception(failure);
    const auto told = failure_of(failure);
    // A client that broke off hears nothing; render_error() logs what is ours.
    if (told.status >= 500) render_error(told.status, failure, nullptr);
    try {
      co_await send_error(session, told.message);
    } catch (const Error&) {
      // Gone.
    }
  }
  co_await session.socket.close(kCloseNormal, "");
}

// A stream may last for days; its credentials may not.
static Task<> until_revoked(StreamSession& session) {
  auto& credentials = session.services.credentials;
  for (;;) {
    co_await credentials.change();
    if (session.caller && !co_await credentials.is_good(*session.caller)) co_return;
  }
}

static Task<> until_cut(StreamSession& session, bool& revoked) {
  auto stopping = session.services.shutdown.wait();
  auto revoking = until_revoked(session);
  revoked = co_await async::first_of(std::move(stopping), std::move(revoking)) == 1;
}

static Task<> run_until_cut(StreamSession& session, std::function<Task<>(StreamSession&)> body) {
  bool revoked = false;
  auto running = run_body(session, std::move(body));
  auto cutting = until_cut(session, revoked);
  const int first = co_await async::first_of(std::move(running), std::move(cutting));
  if (first == 0) co_return;
  try {
    co_await send_error(session, revoked ? "the credentials are no longer good"
                                         : "the control plane is going away; connect again");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
  }
  co_await session.socket.close(revoked ? kClosePolicy : kCloseGoingAway, "");
}

Task<> serve_stream(Services& services, Audience audience, Request& request, Reply& reply, bool fatal_errors,
                    std::function<Task<>(StreamSession&)> body) {
  const auto id = sandbox_id_of(request);
  auto caller = co_await services.authenticator.find(request);
  http::WebSocketOptions options;
  options.message_bytes_max = limits::kClientMessageBytes;
  auto socket = co_await reply.accept_websocket(options);
  StreamSession session{socket, services, std::move(caller), id, audience, false, fatal_errors};
  auto running = run_until_cut(session, std::move(body));
  auto alive = socket.keep_alive(kKeepAlive);
  // keep_alive() returns when the connection ends, run_until_cut() has closed it then: whichever is
  // first, both are over.
  co_await async::both(std::move(running), std::move(alive));
}

// A broken connection is an absent client; only malformed messages are failures.
static Task<std::optional<http::WebSocket::Message>> receive_raw(StreamSession& session) {
  try {
    co_return co_await session.socket.receive();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    co_return std::nullopt;
  }
}

static bool is_known(std::string_view type) noexcept {
  static constexpr std::array<std::string_view, 10> kTypes{
      "start", "connect", "stdin", "stdin_close", "signal", "stop", "input", "resize", "kill", "auth"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

static Task<std::optional<api::ClientMessage>> receive(StreamSession& session, bool ignore_unknown) {
  for (;;) {
    const auto message = co_await receive_raw(session);
    if (!message) co_return std::nullopt;
    const auto value = json::parse(message->data);
    if (!value.is_object())
      throw_error(ErrorCode::invalid_argument, "a message is a JSON object with a type");
    // "pong", and what later clients may say.
    if (ignore_unknown && !is_known(value.text_of("type"))) continue;
    auto told = json::read<api::ClientMessage>(value);
    if (told.type == "auth" && std::exchange(session.auth_seen, true) == false && session.caller) continue;
    co_return told;
  }
}

Task<std::optional<api::ClientMessage>> receive(StreamSession& session) {
  co_return co_await receive(session, true);
}

Task<std::optional<api::ClientMessage>> receive_first(StreamSession& session) {
  auto receiving = receive(session, false);
  co_return co_await async::with_timeout(limits::kStartMessageTimeout, "first message", std::move(receiving));
}

Task<> discard(StreamSession& session) {
  while (co_await receive_raw(session)) {
  }
}

static Task<> authenticate(StreamSession& session) {
  static constexpr std::string_view kFailed = "authentication failed";
  std::optional<api::ClientMessage> message;
  try {
    auto receiving = receive(session, false);
    message = co_await async::with_timeout(limits::kAuthMessageTimeout, "auth message", std::move(receiving));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
  }
  if (message && message->type == "auth")
    session.caller = co_await session.services.authenticator.find(message->token);
  if (!session.caller) throw_error(ErrorCode::unauthenticated, "{}", kFailed);
}

Task<service::CapsuleService::Running> open_capsule(StreamSession& session) {
  if (!session.caller) co_await authenticate(session);
  if (session.audience == Audience::admins) session.caller = Authenticator::as_admin(*session.caller);
  co_return co_await session.services.capsules.require_running(session.caller->team, session.id);
}

Task<> send_pid(StreamSession& session, std::string_view type, std::uint32_t pid, std::string_view tag) {
  std::string text = message_of(type);
  if (!tag.empty()) {
    text += ",\"tag\":";
    json::append_string(text, tag);
  }
  text += fmt::format(",\"pid\":{}}}", pid);
  co_await session.socket.send_text(text);
}

Task<> send_data(StreamSession& session, std::string_view type, std::string_view data) {
  std::string text = message_of(type);
  text.reserve(text.size() + data.size() + data.size() / 8 + 16);
  text += ",\"data\":";
  json::append_string(text, data);
  text += '}';
  co_await session.socket.send_text(text);
}

Task<> send_base64(StreamSession& session, std::string_view type, std::string_view bytes) {
  std::string text = message_of(type);
  text += ",\"data\":\"";
  base64_append(text, bytes);
  text += "\"}";
  co_await session.socket.send_text(text);
}

Task<> send_exit(StreamSession& session, const api::envd::EndEvent& end) {
  std::string text = message_of("exit");
  text += fmt::format(",\"exit_code\":{}", end.exit_code);
  // Not in the specification: the signal that ended the command, for clients that want 128 + n.
  if (const auto signal = signal_of_status(end.status)) text += fmt::format(",\"signal\":{}", *signal);
  text += '}';
  co_await session.socket.send_text(text);
}

}  // namespace wrenn::cp::handlers
