#include "cp/handlers/exec.h"

#include "api/errors.h"
#include "core/async/timeout.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "cp/limits.h"
#include "cp/service/admission.h"
#include "cp/service/failures.h"

namespace wrenn::cp::handlers {

using service::from_agent;

static constexpr int kTagBytes = 4;

api::envd::StartRequest start_request(const api::Exec& command) {
  api::envd::StartRequest start;
  auto& process = start.process.emplace();
  process.cmd = command.cmd;
  process.args = command.args;
  process.envs = command.envs;
  if (!command.cwd.empty()) process.cwd = command.cwd;
  if (!command.tag.empty()) start.tag = command.tag;
  start.stdin_open = false;
  return start;
}

Task<> Exec::exec(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  // The state counts more than the body: a client with both wrong learns of the state.
  auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  auto command = read_json<api::Exec>(request);
  service::admit_process(command.cmd, command.args, command.envs, command.cwd);
  if (command.timeout_sec < 0 || command.timeout_sec > limits::kExecTimeoutMax.count())
    throw_error(ErrorCode::invalid_argument, "timeout_sec: from 0 to {}, not {}",
                limits::kExecTimeoutMax.count(), command.timeout_sec);
  auto envd = command.user.empty() ? capsule.envd : capsule.envd.as_user(command.user);
  services_.capsules.note_activity(id);
  if (command.background) {
    co_await background(std::move(envd), id.text(), std::move(command), reply);
  } else {
    co_await foreground(std::move(envd), caller_of(request).team, id.text(), std::move(command), reply);
  }
}

namespace {

struct Output {
  std::string out, err;
  std::optional<api::envd::EndEvent> end;
};

std::size_t size_of(const std::optional<api::envd::DataEvent>& data) noexcept {
  if (!data) return 0;
  return (data->stdout_data ? data->stdout_data->data.size() : 0) +
         (data->stderr_data ? data->stderr_data->data.size() : 0);
}

[[noreturn]] void throw_too_much(std::string_view what) {
  throw api::PublicError(
      ErrorCode::too_large, 413, "too_large",
      fmt::format("{} and was killed; use exec/stream, or send its output to a file", what));
}

Task<> collect(api::EnvdClient& envd, api::envd::StartRequest start, std::chrono::milliseconds lifetime,
               HeldOutput::Share& share, Output& output) {
  auto events = co_await envd.start(std::move(start), lifetime);
  std::optional<std::uint32_t> pid;
  while (auto event = co_await events.next()) {
    if (event->start) pid = event->start->pid;
    const bool held = share.take(size_of(event->data));
    if (held && event->data) {
      if (event->data->stdout_data) output.out += event->data->stdout_data->data;
      if (event->data->stderr_data) output.err += event->data->stderr_data->data;
    }
    if (event->end) output.end = event->end;
    const bool fits = output.out.size() + output.err.size() <= limits::kExecOutputBytes;
    if (held && fits) continue;
    if (pid) {
      api::envd::ProcessSelector process;
      process.pid = pid;
      co_await envd.send_signal(std::move(process), 9);
    }
    if (!fits) throw_too_much(fmt::format("the command wrote more than {} bytes", limits::kExecOutputBytes));
    throw_too_much("the command wrote more than can be held beside the output of all that run now");
  }
}

}  // namespace

Task<> Exec::foreground(api::EnvdClient envd, model::TeamId team, std::string sandbox_id, api::Exec command,
                        Reply& reply) {
  const auto timeout =
      command.timeout_sec > 0 ? std::chrono::seconds(command.timeout_sec) : limits::kExecTimeout;
  const auto start = SteadyClock::now();
  HeldOutput::Share share(held_, std::move(team));
  Output output;
  std::exception_ptr failure;
  try {
    auto running = collect(envd, start_request(command), timeout, share, output);
    co_await async::with_timeout(timeout + limits::kExecMargin, "exec", std::move(running));
  } catch (...) {
    failure = std::current_exception();
  }
  const auto took = SteadyClock::now() - start;
  // The guest kills a command at its time; whether it then tells so or ends the stream, it is the same to the
  // user.
  const bool killed = output.end && !output.end->exited;
  // Before its time, a deadline was that of something on the way: a machine that stands still takes no
  // connection.
  const bool late = failure && code_of(failure) == ErrorCode::deadline_exceeded;
  if ((late || killed) && took >= timeout)
    throw api::PublicError(
        ErrorCode::deadline_exceeded, 502, "agent_error",
        fmt::format("the command did not end within {} s and was killed; timeout_sec asks for more",
                    timeout.count()));
  if (failure) service::throw_agent_failure(failure);
  if (!output.end)
    throw api::PublicError(ErrorCode::unavailable, 502, "agent_error",
                           "the guest never told the end of the command");

  api::ExecResult result;
  result.sandbox_id = std::move(sandbox_id);
  result.cmd = command.cmd;
  result.exit_code = output.end->exit_code;
  result.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  const bool text = is_valid_utf8(output.out) && is_valid_utf8(output.err);
  result.encoding = text ? "utf-8" : "base64";
  result.stdout_text = text ? std::move(output.out) : base64_encode(output.out);
  result.stderr_text = text ? std::move(output.err) : base64_encode(output.err);
  co_await send_json(reply, 200, result);
}

Task<> Exec::background(api::EnvdClient envd, std::string sandbox_id, api::Exec command, Reply& reply) {
  if (command.tag.empty()) command.tag = "proc-" + random_hex(kTagBytes);
  auto starting = envd.start(start_request(command), std::chrono::seconds(command.timeout_sec));
  auto events = co_await from_agent(std::move(starting));
  auto next = events.next();
  const auto first = co_await from_agent(std::move(next));
  if (!first || !first->start)
    throw api::PublicError(ErrorCode::internal, 502, "agent_error",
                           "the guest did not tell the pid of the command");
  api::ExecStarted started;
  started.sandbox_id = std::move(sandbox_id);
  started.cmd = command.cmd;
  started.pid = first->start->pid;
  started.tag = command.tag;
  co_await send_json(reply, 202, started);
}

}  // namespace wrenn::cp::handlers
