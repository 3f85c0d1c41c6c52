#include "cli/session.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "cli/terminal.h"
#include "core/async/loop.h"
#include "core/async/offload.h"
#include "core/async/scope.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/http/client.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

namespace wrenn::cli {

using async::Task;

namespace {

constexpr std::size_t kStdinPieceBytes = 32 * 1024;
constexpr int kExitUnknownSignal = 255;

// Wakes the thread that waits for standard input when the session is over.
class Wake {
 public:
  Wake() : fd_(eventfd(0, EFD_CLOEXEC)) {
    if (fd_ < 0) throw_errno("eventfd");
  }
  ~Wake() { ::close(fd_); }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  void notify() noexcept { eventfd_write(fd_, 1); }
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

struct Session {
  Session(const SessionOptions& what, http::WebSocket connected) : options(what), socket(std::move(connected)) {}
  const SessionOptions& options;
  http::WebSocket socket;
  Wake over;
  async::ThreadPool stdin_thread{"stdin", 1};
  int exit_code = kExitUnknownSignal;
};

std::string start_message(const SessionOptions& options) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("type", "start");
  writer.member("cmd", options.command.front());
  writer.key("args");
  writer.begin_array();
  for (std::size_t i = 1; i < options.command.size(); ++i) writer.value(options.command[i]);
  writer.end_array();
  writer.key("envs");
  writer.begin_object();
  for (const auto& [name, value] : options.envs) writer.member(name, value);
  writer.end_object();
  if (!options.cwd.empty()) writer.member("cwd", options.cwd);
  if (!options.user.empty()) writer.member("user", options.user);
  if (options.terminal) {
    const auto size = window_size();
    writer.member("cols", size.cols);
    writer.member("rows", size.rows);
  } else {
    writer.member("stdin", options.keep_stdin);
    writer.member("encoding", "base64");
  }
  writer.end_object();
  return text;
}

std::string typed_message(std::string_view type, std::string_view key = {}, std::string_view value = {}) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("type", type);
  if (!key.empty()) writer.member(key, value);
  writer.end_object();
  return text;
}

// Blocks until standard input has bytes, has ended (empty result), or the session is over (absent).
std::optional<std::string> read_stdin(const Wake& over) {
  for (;;) {
    pollfd watched[] = {{STDIN_FILENO, POLLIN, 0}, {over.fd(), POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0 && errno != EINTR) throw_errno("wait for standard input");
    if (watched[1].revents != 0) return std::nullopt;
    if (watched[0].revents == 0) continue;
    std::string piece(kStdinPieceBytes, '\0');
    const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    piece.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return piece;
  }
}

Task<> send_stdin(Session& session) {
  for (;;) {
    auto reading = [&session] { return read_stdin(session.over); };
    const auto piece = co_await async::offload(session.stdin_thread, reading);
    if (!piece) co_return;
    if (piece->empty()) break;
    const std::string encoded = base64_encode(*piece);
    const std::string message = typed_message(session.options.terminal ? "input" : "stdin", "data", encoded);
    co_await session.socket.send_text(message);
  }
  if (session.options.terminal) co_return;
  const std::string message = typed_message("stdin_close");
  co_await session.socket.send_text(message);
}

Task<> send_window_changes(Session& session) {
  asio::signal_set changes(co_await asio::this_coro::executor, SIGWINCH);
  for (;;) {
    co_await changes.async_wait(asio::use_awaitable);
    const auto size = window_size();
    std::string message;
    json::Writer writer(message);
    writer.begin_object();
    writer.member("type", "resize");
    writer.member("cols", size.cols);
    writer.member("rows", size.rows);
    writer.end_object();
    co_await session.socket.send_text(message);
  }
}

// With a terminal in raw mode Ctrl-C is a byte; otherwise the signals come to us and are passed on.
Task<> send_signals(Session& session) {
  asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
  for (;;) {
    const int number = co_await signals.async_wait(asio::use_awaitable);
    const std::string message = session.options.terminal
                                    ? typed_message("kill")
                                    : typed_message("signal", "signal", number == SIGINT ? "SIGINT" : "SIGTERM");
    co_await session.socket.send_text(message);
  }
}

void write_out(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        pollfd room{fd, POLLOUT, 0};
        ::poll(&room, 1, -1);
        continue;
      }
      throw_errno("write output");
    }
    data.remove_prefix(static_cast<std::size_t>(written));
  }
}

Task<> receive_output(Session& session) {
  for (;;) {
    const auto message = co_await session.socket.receive();
    if (!message)
      throw_error(ErrorCode::unavailable,
                  "the connection ended before the command did; it may still run in {}", session.options.capsule_id);
    const auto event = json::parse(message->data);
    const auto type = event.text_of("type");
    if (type == "stdout" || type == "output" || type == "stderr") {
      const auto data = base64_decode(event.text_of("data"));
      if (!data) throw_error(ErrorCode::data_loss, "the server sent output that is not base64");
      write_out(type == "stderr" ? STDERR_FILENO : STDOUT_FILENO, *data);
    } else if (type == "exit") {
      const auto* code = event.find("exit_code");
      session.exit_code = static_cast<int>(code ? code->as_int64().value_or(0) : 0);
      if (const auto* signal = event.find("signal"))
        session.exit_code = 128 + static_cast<int>(signal->as_int64().value_or(0));
      if (session.exit_code < 0) session.exit_code = kExitUnknownSignal;
      co_return;
    } else if (type == "error") {
      throw_error(ErrorCode::internal, "{}", event.text_of("data"));
    }
  }
}

Task<> run_streams(Session& session) {
  async::Scope senders(co_await asio::this_coro::executor, "session");
  if (session.options.keep_stdin) senders.spawn(send_stdin(session));
  if (session.options.terminal) senders.spawn(send_window_changes(session));
  senders.spawn(send_signals(session));
  std::exception_ptr failure;
  try {
    co_await receive_output(session);
  } catch (...) {
    failure = std::current_exception();
  }
  session.over.notify();
  senders.cancel();
  co_await senders.join();
  if (failure) std::rethrow_exception(failure);
}

Task<> run_in_capsule(const Endpoint& endpoint, const SessionOptions& options, int& exit_code) {
  http::Client client(co_await asio::this_coro::executor, endpoint.address());
  std::string target = fmt::format("{}/v1/capsules/{}/{}", endpoint.path_prefix(), options.capsule_id,
                                   options.terminal ? "pty" : "exec/stream");
  http::Headers headers;
  headers.set("X-API-Key", endpoint.api_key.reveal());
  auto socket = co_await client.websocket(std::move(target), std::move(headers));
  Session session(options, std::move(socket));
  const std::string start = start_message(options);
  co_await session.socket.send_text(start);
  co_await run_streams(session);
  co_await session.socket.close(1000, "");
  exit_code = session.exit_code;
}

}  // namespace

int run_session(const Endpoint& endpoint, SessionOptions options) {
  int exit_code = kExitUnknownSignal;
  std::optional<RawMode> raw;
  if (options.terminal && options.keep_stdin) raw.emplace();
  async::run_loop("cli", [&] { return run_in_capsule(endpoint, options, exit_code); });
  return exit_code;
}

}  // namespace wrenn::cli
