#include "cp/handlers/pty.h"

#include <csignal>

#include "core/async/timeout.h"
#include "core/base/random.h"
#include "core/log/log.h"
#include "cp/handlers/exec.h"
#include "cp/handlers/pty_input.h"
#include "cp/limits.h"
#include "cp/service/failures.h"

namespace wrenn::cp::handlers {

using service::from_agent;

namespace {

constexpr std::string_view kDefaultShell = "/bin/bash";
constexpr std::uint32_t kDefaultCols = 80, kDefaultRows = 24;
constexpr std::int64_t kSizeMax = 65'535;  // what the kernel's winsize holds
constexpr int kTagBytes = 4;

struct Terminal {
  StreamSession& session;
  api::EnvdClient envd;
  api::ProcessStream events;
  std::string tag;
  PtyQueue queue;

  api::envd::ProcessSelector selector() const {
    api::envd::ProcessSelector process;
    process.tag = tag;
    return process;
  }
};

Task<> send_events(Terminal& terminal) {
  for (;;) {
    auto next = terminal.events.next();
    const auto event = co_await from_agent(std::move(next));
    if (!event) throw_error(ErrorCode::internal, "the guest's stream ended twice");
    if (event->start) co_await send_pid(terminal.session, "started", event->start->pid, terminal.tag);
    if (event->data && event->data->pty)
      co_await send_base64(terminal.session, "output", event->data->pty->data);
    if (!event->end) continue;
    co_await send_exit(terminal.session, *event->end);
    co_return;
  }
}

std::optional<api::envd::PtySize> size_of(const api::ClientMessage& message) {
  if (message.cols <= 0 || message.rows <= 0 || message.cols > kSizeMax || message.rows > kSizeMax)
    return std::nullopt;
  api::envd::PtySize size;
  size.cols = static_cast<std::uint32_t>(message.cols);
  size.rows = static_cast<std::uint32_t>(message.rows);
  return size;
}

// Until the client is gone. A full queue stops the reading, and TCP stops the client.
Task<> queue_client(Terminal& terminal) {
  while (auto message = co_await receive(terminal.session)) {
    std::optional<PtyCommand> command;
    if (message->type == "input") {
      auto bytes = base64_decode(message->data);
      if (!bytes) throw_error(ErrorCode::invalid_argument, "input: data must be base64");
      if (!bytes->empty()) command = PtyInput{std::move(*bytes)};
    } else if (message->type == "resize") {
      if (const auto size = size_of(*message)) command = *size;
    } else if (message->type == "kill") {
      command = PtyKill{};
    }
    if (command && !co_await terminal.queue.push(std::move(*command))) break;
  }
  // What was asked for before the end (the SDK sends kill and closes) is still done.
  terminal.queue.close();
}

Task<> carry_out(Terminal& terminal, PtyCommand command) {
  if (auto* typed = std::get_if<PtyInput>(&command)) {
    api::envd::ProcessInput input;
    input.pty = json::Bytes{std::move(typed->bytes)};
    co_await terminal.envd.send_input(terminal.selector(), std::move(input));
  } else if (const auto* size = std::get_if<api::envd::PtySize>(&command)) {
    co_await terminal.envd.resize(terminal.selector(), *size);
  } else {
    co_await terminal.envd.send_signal(terminal.selector(), SIGKILL);
  }
}

Task<> drain_queue(Terminal& terminal) {
  while (auto command = co_await terminal.queue.next()) {
    try {
      auto call = carry_out(terminal, std::move(*command));
      co_await async::with_timeout(limits::kPtyCall, "terminal", std::move(call));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      // The shell has ended, or the guest is slow; the event stream tells the client which.
      log::debug("terminal call failed", {{"sandbox", terminal.session.id.text()}, {"error", error.what()}});
    }
  }
}

Task<> ping_client(StreamSession& session) {
  for (;;) {
    co_await async::sleep(limits::kPtyPing);
    co_await session.socket.send_text("{\"type\":\"ping\"}");
  }
}

Task<> serve_client(Terminal& terminal) {
  auto queueing = queue_client(terminal);
  auto draining = drain_queue(terminal);
  co_await async::both(std::move(queueing), std::move(draining));
}

Task<> serve_client_and_ping(Terminal& terminal) {
  auto serving = serve_client(terminal);
  auto pinging = ping_client(terminal.session);
  co_await async::first_of(std::move(serving), std::move(pinging));
}

Task<api::ProcessStream> start(api::EnvdClient& envd, const api::ClientMessage& message, std::string tag) {
  api::Exec command;
  command.cmd = message.cmd.empty() ? std::string(kDefaultShell) : message.cmd;
  command.args = message.args;
  command.envs = message.envs;
  command.cwd = message.cwd;
  command.tag = std::move(tag);
  service::admit_process(command.cmd, command.args, command.envs, command.cwd);
  auto request = start_request(command);
  request.stdin_open.reset();
  auto size = size_of(message);
  if (!size) size = api::envd::PtySize{kDefaultCols, kDefaultRows};
  request.pty.emplace().size = size;
  auto starting = envd.start(std::move(request), std::chrono::milliseconds(0));
  co_return co_await from_agent(std::move(starting));
}

Task<api::ProcessStream> connect(api::EnvdClient& envd, std::string tag) {
  api::envd::ProcessSelector selector;
  selector.tag = std::move(tag);
  auto connecting = envd.connect(std::move(selector));
  co_return co_await from_agent(std::move(connecting));
}

Task<> run(StreamSession& session) {
  const auto capsule = co_await open_capsule(session);
  const auto message = co_await receive_first(session);
  if (!message) co_return;
  const bool starts = message->type == "start";
  if (!starts && (message->type != "connect" || message->tag.empty()))
    throw_error(ErrorCode::invalid_argument,
                "first message must be type 'start', or 'connect' with a 'tag' field");
  const std::string tag = starts ? "pty-" + random_hex(kTagBytes) : message->tag;
  auto envd = message->user.empty() ? capsule.envd : capsule.envd.as_user(message->user);
  auto opening = starts ? start(envd, *message, tag) : connect(envd, tag);
  auto events = co_await std::move(opening);

  const auto executor = co_await asio::this_coro::executor;
  Terminal terminal{session, std::move(envd), std::move(events), tag,
                    PtyQueue(executor, limits::kPtyQueue, limits::kPtyInputBytes)};
  auto sending = send_events(terminal);
  auto serving = serve_client_and_ping(terminal);
  co_await async::first_of(std::move(sending), std::move(serving));
  session.services.capsules.note_activity(session.id);
}

}  // namespace

Task<> Pty::open(Request& request, Reply& reply) {
  co_await serve_stream(services_, audience_, request, reply, true, run);
}

}  // namespace wrenn::cp::handlers
