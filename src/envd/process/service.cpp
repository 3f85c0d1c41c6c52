#include "envd/process/service.h"

#include <algorithm>
#include <csignal>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/files/paths.h"
#include "envd/limits.h"
#include "envd/process/end_status.h"
#include "envd/process/environment.h"
#include "envd/process/events.h"
#include "envd/rpc.h"

namespace wrenn::envd::process {

namespace wire = api::envd;

namespace {

const wire::ProcessSelector& selector_of(const std::optional<wire::ProcessSelector>& selector) {
  if (!selector) throw_error(ErrorCode::invalid_argument, "field process is required");
  return *selector;
}

sys::WindowSize window_of(const std::optional<wire::PtySize>& size) {
  sys::WindowSize window;
  if (!size) return window;
  if (size->cols > 0xffff || size->rows > 0xffff)
    throw_error(ErrorCode::invalid_argument, "pty.size: at most 65535 columns and rows");
  if (size->cols != 0) window.columns = static_cast<std::uint16_t>(size->cols);
  if (size->rows != 0) window.rows = static_cast<std::uint16_t>(size->rows);
  return window;
}

int signal_of(const json::Value& value) {
  const auto number = value.as_int64();
  const auto* name = value.as_string();
  if ((number && *number == SIGTERM) || (name && *name == "SIGNAL_SIGTERM")) return SIGTERM;
  if ((number && *number == SIGKILL) || (name && *name == "SIGNAL_SIGKILL")) return SIGKILL;
  throw_error(ErrorCode::invalid_argument, "field signal: must be SIGNAL_SIGTERM (15) or SIGNAL_SIGKILL (9)");
}

void refuse_nul(std::string_view field, std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    throw_error(ErrorCode::invalid_argument, "field {} holds a NUL byte", field);
}

Task<> write(Process& process, wire::ProcessInput input) {
  if (input.stdin_data.has_value() == input.pty.has_value())
    throw_error(ErrorCode::invalid_argument, "input: exactly one of stdin and pty must be given");
  if (input.stdin_data) {
    co_await process.write_stdin(std::move(input.stdin_data->data));
  } else {
    co_await process.write_terminal(std::move(input.pty->data));
  }
}

}  // namespace

void Service::add_routes(http::Router& router) {
  router.add("POST", "/process.Process/Start", rpc::streaming(this, &Service::start));
  router.add("POST", "/process.Process/Connect", rpc::streaming(this, &Service::connect));
  router.add("POST", "/process.Process/StreamInput", rpc::streaming(this, &Service::stream_input));
  router.add("POST", "/process.Process/List", rpc::unary(this, &Service::list));
  router.add("POST", "/process.Process/Update", rpc::unary(this, &Service::update));
  router.add("POST", "/process.Process/SendInput",
             rpc::unary(this, &Service::send_input, limits::kInputBodyBytes));
  router.add("POST", "/process.Process/SendSignal", rpc::unary(this, &Service::send_signal));
  router.add("POST", "/process.Process/CloseStdin", rpc::unary(this, &Service::close_stdin));
}

Launch Service::prepare(wire::StartRequest message, const http::Request& request) const {
  const bool login = message.pty && (!message.process || message.process->cmd.empty());
  if (!login && (!message.process || message.process->cmd.empty()))
    throw_error(ErrorCode::invalid_argument, "field process.cmd is required");
  Launch launch;
  if (message.process) launch.config = std::move(*message.process);
  launch.user = user_of(request, defaults_);
  if (login) {
    if (!launch.config.args.empty())
      throw_error(ErrorCode::invalid_argument, "field process.args: the login shell takes none");
    launch.config.cmd = launch.user.shell;
    launch.config.args = {"-l"};
  }
  refuse_nul("process.cmd", launch.config.cmd);
  for (const std::string& argument : launch.config.args) refuse_nul("process.args", argument);
  check_env(launch.config.envs);
  if (message.tag && message.tag->size() > limits::kTagBytes)
    throw_error(ErrorCode::invalid_argument, "field tag: at most {} bytes", limits::kTagBytes);
  launch.tag = std::move(message.tag);
  if (message.pty) launch.terminal = window_of(message.pty->size);
  launch.stdin_open = message.stdin_open.value_or(true);
  const std::string cwd = launch.config.cwd.value_or("");
  launch.cwd_asked = !cwd.empty() || !defaults_.workdir.empty();
  launch.cwd = files::resolve(cwd, launch.user.home, defaults_.workdir);
  launch.env = environment(own_path(), launch.user, defaults_.env, launch.config.envs);
  if (launch.terminal) add_if_missing(launch.env, "TERM", "xterm-256color");
  if (login) add_if_missing(launch.env, "SHELL", launch.user.shell);
  return launch;
}

Task<> Service::start(http::Request& request, http::Reply& reply, http::ConnectStream& stream) {
  const std::string body = co_await rpc::read_message(request);
  // A limit to the life of the process, not of this stream: it holds when the client has gone.
  const auto lifetime = rpc::timeout_of(request);
  auto launch = prepare(json::from_json<wire::StartRequest>(body), request);
  const auto subscription = co_await table_.start(std::move(launch), lifetime);
  auto work = forward(stream, *subscription, rpc::keepalive_of(request));
  co_await rpc::while_connected(reply, std::nullopt, std::move(work));
  if (!subscription->process().timed_out()) {
    const std::string end = end_event_json(end_event(*subscription->process().end()));
    co_await stream.send(end);
    co_return;
  }
  throw_error(ErrorCode::deadline_exceeded, "process {} was killed after its {} ms (Connect-Timeout-Ms)",
              subscription->process().pid(), lifetime->count());
}

Task<> Service::connect(http::Request& request, http::Reply& reply, http::ConnectStream& stream) {
  const std::string body = co_await rpc::read_message(request);
  const auto message = json::from_json<wire::ConnectRequest>(body);
  const auto found = table_.any(selector_of(message.process));
  std::optional<std::int64_t> replay_from;
  if (message.replay_from) replay_from = message.replay_from->value;
  if (!found.process) {
    if (replay_from) check_replay(found.pid, *replay_from, found.output_bytes, found.output_bytes);
    const std::string start = start_event_json(found.pid);
    co_await stream.send(start);
    const std::string end = end_event_json(end_event(found.status));
    co_await stream.send(end);
    co_return;
  }
  Subscription subscription(executor_, found.process, replay_from);
  auto work = forward(stream, subscription, rpc::keepalive_of(request));
  co_await rpc::while_connected(reply, rpc::timeout_of(request), std::move(work));
  const std::string end = end_event_json(end_event(*subscription.process().end()));
  co_await stream.send(end);
}

// The start event and the output up to the end, with keep-alives when there is nothing else to say.
Task<> Service::forward(http::ConnectStream& stream, Subscription& subscription,
                        SteadyClock::duration keepalive) {
  const std::string start = start_event_json(subscription.process().pid());
  co_await stream.send(start);
  for (;;) {
    while (const auto piece = subscription.peek()) {
      const std::string event = data_event_json(*piece);
      subscription.advance();
      co_await stream.send(event);
    }
    if (subscription.process().end()) co_return;
    const bool news = co_await subscription.wait_until(SteadyClock::now() + keepalive);
    if (!news) co_await stream.send(keepalive_event_json());
  }
}

Task<wire::ListResponse> Service::list(wire::Empty, Call) {
  wire::ListResponse response;
  for (const auto& process : table_.all_running())
    response.processes.push_back({process->launch().config, process->pid(), process->launch().tag});
  co_return response;
}

Task<wire::Empty> Service::update(wire::UpdateRequest message, Call) {
  const auto process = table_.running(selector_of(message.process));
  if (message.pty && message.pty->size) process->resize(window_of(message.pty->size));
  co_return wire::Empty{};
}

Task<wire::Empty> Service::send_input(wire::SendInputRequest message, Call) {
  const auto process = table_.running(selector_of(message.process));
  if (!message.input) throw_error(ErrorCode::invalid_argument, "field input is required");
  co_await write(*process, std::move(*message.input));
  co_return wire::Empty{};
}

// A client stream: first whom to write to, then what.
Task<> Service::stream_input(http::Request& request, http::Reply&, http::ConnectStream& stream) {
  http::EnvelopeReader reader(*request.body, limits::kInputBodyBytes);
  std::shared_ptr<Process> process;
  for (;;) {
    auto envelope = co_await reader.next();
    if (!envelope || envelope->end) break;
    auto message = json::from_json<wire::StreamInputMessage>(envelope->message);
    if (message.start) {
      if (process) throw_error(ErrorCode::invalid_argument, "StreamInput: a second start message");
      process = table_.running(selector_of(message.start->process));
    } else if (message.data) {
      if (!process) throw_error(ErrorCode::invalid_argument, "StreamInput: the first message must be start");
      if (!message.data->input) throw_error(ErrorCode::invalid_argument, "field data.input is required");
      co_await write(*process, std::move(*message.data->input));
    } else if (!message.keepalive) {
      throw_error(ErrorCode::invalid_argument, "StreamInput: a message must be start, data or keepalive");
    }
  }
  if (!process) throw_error(ErrorCode::invalid_argument, "StreamInput: the first message must be start");
  co_await stream.send("{}");
}

Task<wire::Empty> Service::send_signal(wire::SendSignalRequest message, Call) {
  const int number = signal_of(message.signal);
  const auto process = table_.running(selector_of(message.process));
  process->signal(number);
  co_return wire::Empty{};
}

Task<wire::Empty> Service::close_stdin(wire::CloseStdinRequest message, Call) {
  const auto process = table_.running(selector_of(message.process));
  co_await process->close_stdin();
  co_return wire::Empty{};
}

}  // namespace wrenn::envd::process
