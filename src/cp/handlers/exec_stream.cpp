#include "cp/handlers/exec_stream.h"

#include <csignal>

#include "cp/handlers/exec.h"
#include "cp/handlers/utf8_carry.h"
#include "cp/service/failures.h"

namespace wrenn::cp::handlers {

using service::from_agent;

namespace {

struct Process {
  StreamSession& session;
  api::EnvdClient envd;
  api::ProcessStream events;
  api::envd::ProcessSelector selector;
  bool base64 = false;
  bool stdin_open = false;
  Utf8Carry out, err;
};

Task<> send_output(Process& process, std::string_view type, Utf8Carry& carry, std::string_view bytes) {
  if (process.base64) {
    co_await send_base64(process.session, type, bytes);
    co_return;
  }
  const auto text = carry.take(bytes);
  if (!text.empty()) co_await send_data(process.session, type, text);
}

Task<> send_rest(Process& process, std::string_view type, Utf8Carry& carry) {
  const auto text = carry.rest();
  if (!text.empty()) co_await send_data(process.session, type, text);
}

// Until the process has ended.
Task<> send_events(Process& process) {
  for (;;) {
    auto next = process.events.next();
    const auto event = co_await from_agent(std::move(next));
    if (!event) throw_error(ErrorCode::internal, "the guest's stream ended twice");
    if (event->start) co_await send_pid(process.session, "start", event->start->pid, "");
    if (event->data) {
      if (event->data->stdout_data)
        co_await send_output(process, "stdout", process.out, event->data->stdout_data->data);
      if (event->data->stderr_data)
        co_await send_output(process, "stderr", process.err, event->data->stderr_data->data);
    }
    if (!event->end) continue;
    co_await send_rest(process, "stdout", process.out);
    co_await send_rest(process, "stderr", process.err);
    co_await send_exit(process.session, *event->end);
    co_return;
  }
}

// envd's own interface knows two signals; others are tried and fall back to SIGTERM.
Task<> send_signal(Process& process, std::string name) {
  const auto number = service::parse_signal(name).value_or(SIGTERM);
  bool refused = false;
  try {
    co_await process.envd.send_signal(process.selector, number);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    refused = error.code() == ErrorCode::invalid_argument;
  }
  if (!refused) co_return;
  try {
    co_await process.envd.send_signal(process.selector, SIGTERM);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    // It has ended; the event stream says so.
  }
}

// Input for a process that has ended, or that closed its standard input, is dropped as a pipe would.
Task<> send_input(Process& process, api::ClientMessage message) {
  if (!process.stdin_open) co_return;
  auto bytes = base64_decode(message.data);
  if (!bytes) throw_error(ErrorCode::invalid_argument, "stdin: data must be base64");
  try {
    if (message.type == "stdin_close") {
      process.stdin_open = false;
      co_await process.envd.close_stdin(process.selector);
    } else if (!bytes->empty()) {
      api::envd::ProcessInput input;
      input.stdin_data = json::Bytes{std::move(*bytes)};
      co_await process.envd.send_input(process.selector, std::move(input));
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    process.stdin_open = false;
  }
}

// Until the client wants no more.
Task<> obey_client(Process& process) {
  for (;;) {
    auto message = co_await receive(process.session);
    if (!message || message->type == "stop") co_return;
    if (message->type == "stdin" || message->type == "stdin_close")
      co_await send_input(process, std::move(*message));
    else if (message->type == "signal")
      co_await send_signal(process, message->signal);
  }
}

Task<> run_exec(StreamSession& session) {
  const auto capsule = co_await open_capsule(session);
  const auto message = co_await receive_first(session);
  if (!message) co_return;
  if (message->type != "start" || message->cmd.empty())
    throw_error(ErrorCode::invalid_argument, "first message must be type 'start' with a 'cmd' field");
  if (!message->encoding.empty() && message->encoding != "base64" && message->encoding != "utf-8")
    throw_error(ErrorCode::invalid_argument, "encoding: must be base64 or utf-8");
  service::admit_process(message->cmd, message->args, message->envs, message->cwd);

  api::Exec command;
  command.cmd = message->cmd;
  command.args = message->args;
  command.envs = message->envs;
  command.cwd = message->cwd;
  command.tag = message->tag;
  auto start = start_request(command);
  start.stdin_open = message->stdin_open;
  auto envd = message->user.empty() ? capsule.envd : capsule.envd.as_user(message->user);
  auto starting = envd.start(std::move(start), std::chrono::milliseconds(0));
  auto events = co_await from_agent(std::move(starting));
  // The pid first: without it nothing can be sent to the process.
  auto next = events.next();
  const auto first = co_await from_agent(std::move(next));
  if (!first || !first->start)
    throw_error(ErrorCode::internal, "the guest did not tell the pid of the command");
  co_await send_pid(session, "start", first->start->pid, "");

  Process process{
      session, std::move(envd), std::move(events), {}, message->encoding == "base64", message->stdin_open, {},
      {}};
  process.selector.pid = first->start->pid;
  auto sending = send_events(process);
  auto obeying = obey_client(process);
  co_await async::first_of(std::move(sending), std::move(obeying));
  session.services.capsules.note_activity(session.id);
}

Task<> run_connect(StreamSession& session, api::envd::ProcessSelector selector) {
  const auto capsule = co_await open_capsule(session);
  auto envd = capsule.envd;
  auto connecting = envd.connect(selector);
  auto events = co_await from_agent(std::move(connecting));
  Process process{session, std::move(envd), std::move(events), std::move(selector), false, false, {}, {}};
  auto sending = send_events(process);
  auto discarding = discard(session);
  co_await async::first_of(std::move(sending), std::move(discarding));
  session.services.capsules.note_activity(session.id);
}

}  // namespace

Task<> ExecStream::exec(Request& request, Reply& reply) {
  co_await serve_stream(services_, audience_, request, reply, false, run_exec);
}

Task<> ExecStream::connect(Request& request, Reply& reply) {
  // Not a coroutine itself, so that nothing captured is referred to after it has returned.
  auto body = [selector = service::parse_selector(request.params["selector"])](StreamSession& session) {
    return run_connect(session, selector);
  };
  co_await serve_stream(services_, audience_, request, reply, false, std::move(body));
}

}  // namespace wrenn::cp::handlers
