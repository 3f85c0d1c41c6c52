#include "agent/vmm/qmp.h"

#include <sys/socket.h>

#include <array>
#include <cstring>

#include "agent/vmm/limits.h"
#include "agent/vmm/socket_path.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/json/writer.h"

namespace wrenn::agent::vmm {

Qmp::Qmp(async::Executor executor, Socket socket, EventHandler on_event)
    : socket_(std::move(socket)),
      on_event_(std::move(on_event)),
      changed_(executor),
      lines_(limits::kQmpLineBytes) {}

Qmp::~Qmp() = default;

Task<std::shared_ptr<Qmp>> Qmp::connect(async::Scope& scope, std::string path, EventHandler on_event,
                                        std::chrono::milliseconds timeout) {
  const SteadyTime deadline = SteadyClock::now() + timeout;
  Socket socket(scope.executor());
  asio::error_code failed;
  // A local connect does not block: it succeeds at once or the backlog is full.
  const SocketPath name(path);
  socket.connect(asio::local::stream_protocol::endpoint(name.text()), failed);
  if (!failed) socket.non_blocking(true, failed);
  if (failed)
    throw_error(ErrorCode::unavailable, "connect to the machine monitor at {}: {}", path, failed.message());
  std::shared_ptr<Qmp> self(new Qmp(scope.executor(), std::move(socket), std::move(on_event)));
  ScopeGuard give_up([&] { self->close("gave up"); });
  scope.spawn(read_all(self));
  while (!self->greeted_ && !self->closed_) {
    const bool changed = co_await self->changed_.wait_for(deadline - SteadyClock::now());
    if (!changed && SteadyClock::now() >= deadline)
      throw_error(ErrorCode::deadline_exceeded, "the machine monitor does not answer at {}", path);
  }
  if (self->closed_)
    throw_error(ErrorCode::unavailable, "the machine monitor hung up: {}", self->closed_why_);
  co_await self->execute("qmp_capabilities", "", limits::kCommandTimeout);
  give_up.dismiss();
  co_return self;
}

Task<> Qmp::read_all(std::shared_ptr<Qmp> self) {
  std::array<char, 16 * 1024> buffer;
  while (!self->closed_) {
    asio::error_code failed;
    const std::size_t got = co_await self->socket_.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, failed));
    if (failed) {
      self->close(failed == asio::error::eof ? "end of stream" : failed.message());
      break;
    }
    if (!self->lines_.add(std::string_view(buffer.data(), got))) {
      self->close("a message longer than the limit");
      break;
    }
    while (auto line = self->lines_.next()) {
      auto message = parse_qmp(*line);
      if (!message) {
        self->close("a message that is none");
        break;
      }
      self->take(std::move(*message));
      if (self->closed_) break;
    }
  }
}

void Qmp::take(QmpMessage message) {
  switch (message.kind) {
    case QmpMessage::Kind::greeting:
      greeted_ = true;
      break;
    case QmpMessage::Kind::event:
      if (on_event_ && !closed_) on_event_(message.text, message.data);
      return;
    case QmpMessage::Kind::answer:
    case QmpMessage::Kind::failure: {
      const auto found = waiting_.find(message.id);
      if (found == waiting_.end()) return;  // its caller gave up
      found->second->answer = std::move(message);
      found->second->done = true;
      break;
    }
  }
  changed_.notify_all();
}

// The monitor's commands are small and few at a time, the socket's buffer holds hundreds of them: a write
// that does not succeed at once means that QEMU has stopped reading.
void Qmp::send(std::string_view line, sys::FdView pass) {
  iovec data{const_cast<char*>(line.data()), line.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (pass.valid()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = pass.get();
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  }
  const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(line.size())) return;
  const std::string why = sent < 0 ? std::strerror(errno) : "it does not read";
  close(why);
  throw_error(ErrorCode::unavailable, "send a command to the machine monitor: {}", why);
}

Task<json::Value> Qmp::execute(std::string command, std::string arguments, std::chrono::milliseconds timeout,
                               sys::FdView pass) {
  if (closed_)
    throw_error(ErrorCode::unavailable, "{}: the machine monitor is gone: {}", command, closed_why_);
  if (waiting_.size() >= limits::kQmpPending)
    throw_error(ErrorCode::resource_exhausted, "{}: {} commands wait for the machine monitor already",
                command, waiting_.size());
  const auto self = shared_from_this();  // while we wait
  const SteadyTime deadline = SteadyClock::now() + timeout;
  const std::int64_t id = next_id_++;
  std::string line;
  json::Writer writer(line);
  writer.begin_object();
  writer.member("execute", command);
  if (!arguments.empty()) {
    writer.key("arguments");
    writer.raw(arguments);
  }
  writer.member("id", id);
  writer.end_object();
  line += "\r\n";
  Waiting waiting;
  waiting_.emplace(id, &waiting);
  const ScopeGuard forget([&] { waiting_.erase(id); });
  send(line, pass);
  while (!waiting.done && !closed_) {
    const bool changed = co_await changed_.wait_for(deadline - SteadyClock::now());
    if (!changed && !waiting.done && SteadyClock::now() >= deadline)
      throw_error(ErrorCode::deadline_exceeded, "{}: the machine monitor does not answer within {} ms",
                  command, timeout.count());
  }
  if (!waiting.done)
    throw_error(ErrorCode::unavailable, "{}: the machine monitor hung up: {}", command, closed_why_);
  if (waiting.answer.kind == QmpMessage::Kind::failure)
    throw_error(ErrorCode::failed_precondition, "{}: QEMU refuses: {}", command, waiting.answer.text);
  co_return std::move(waiting.answer.data);
}

void Qmp::close(std::string_view reason) noexcept {
  if (closed_) return;
  closed_ = true;
  closed_why_ = reason;
  asio::error_code ignored;
  socket_.close(ignored);
  changed_.notify_all();
}

}  // namespace wrenn::agent::vmm
