#include "envd/process/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/log/log.h"
#include "envd/limits.h"
#include "linux/procfs.h"

namespace wrenn::envd::process {

Process::Process(async::Executor executor, Launch launch, std::span<char> scratch, std::size_t replay_bytes)
    : executor_(executor),
      launch_(std::move(launch)),
      scratch_(scratch),
      room_(executor),
      log_(limits::kOutputLogBytes, replay_bytes, [this] { room_.notify_all(); }),
      input_free_(executor),
      ended_(executor) {
  if (launch_.terminal) {
    sys::Pty pty = sys::open_pty(*launch_.terminal);
    child_ends_.input = pty.terminal.duplicate();
    child_ends_.output = pty.terminal.duplicate();
    child_ends_.error = std::move(pty.terminal);
    terminal_.emplace(executor, pty.controller.release());
    return;
  }
  if (launch_.stdin_open) {
    sys::PipePair pipe = sys::make_pipe();
    child_ends_.input = std::move(pipe.read_end);
    stdin_.emplace(executor, pipe.write_end.release());
  }
  sys::PipePair output = sys::make_pipe();
  child_ends_.output = std::move(output.write_end);
  stdout_.emplace(executor, output.read_end.release());
  sys::PipePair error = sys::make_pipe();
  child_ends_.error = std::move(error.write_end);
  stderr_.emplace(executor, error.read_end.release());
}

void Process::begin(sys::Process&& child, Cgroups::Leaf&& cgroup) {
  const int pidfd = ::fcntl(child.pidfd().get(), F_DUPFD_CLOEXEC, 0);
  if (pidfd < 0) throw_errno("duplicate the pidfd of process {}", child.pid());
  exit_.emplace(executor_, pidfd);
  child_ends_ = {};
  child_.emplace(std::move(child));
  cgroup_ = std::move(cgroup);
  pid_ = static_cast<std::uint32_t>(child_->pid());
}

Task<> Process::run(Cgroups& cgroups) {
  auto exit = wait_for_exit();
  auto output = pump_all();
  co_await async::both(std::move(exit), std::move(output));
  end_ = child_->try_wait().value_or(sys::ExitStatus{.known = false});
  cgroups.retire(std::move(cgroup_));
  close_all();
  launch_.env = {};
  launch_.config = {};
  log_.finish();
  ended_.ring();
}

Task<> Process::kill_at(SteadyTime time) {
  if (co_await ended_.wait_until(time)) co_return;
  timed_out_ = true;
  signal(SIGKILL);
}

Task<> Process::pump_all() {
  if (terminal_) {
    co_await pump(*terminal_, Channel::terminal, limits::kPtyChunkBytes);
    co_return;
  }
  auto output = pump(*stdout_, Channel::standard_output, limits::kPipeChunkBytes);
  auto error = pump(*stderr_, Channel::standard_error, limits::kPipeChunkBytes);
  co_await async::both(std::move(output), std::move(error));
}

Task<> Process::pump(async::Descriptor& source, Channel channel, std::size_t chunk_bytes) {
  for (;;) {
    while (!log_.room()) co_await room_.wait();
    const ssize_t got = ::read(source.fd(), scratch_.data(), std::min(chunk_bytes, scratch_.size()));
    if (got > 0) {
      log_.append(channel, std::string_view(scratch_.data(), static_cast<std::size_t>(got)));
      co_await async::yield();  // a process that prints without end must not keep the loop for itself
      continue;
    }
    if (got == 0 || errno == EIO) co_return;  // EIO: the last program has left the terminal
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      log::warn("cannot read the output of a process", {{"pid", pid_}, {"errno", errno}});
      co_return;
    }
    if (exited_ && abandon_pipes_) co_return;
    std::exception_ptr interrupted;
    try {
      co_await source.wait_readable();
    } catch (const Error&) {
      interrupted = std::current_exception();
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (interrupted && state.cancelled() != asio::cancellation_type::none)
      std::rethrow_exception(interrupted);
  }
}

Task<> Process::wait_for_exit() {
  co_await exit_->wait_readable();
  exited_ = true;
  if (stdin_) stdin_->close();  // whoever still waits to write gets an error
  if (abandon_pipes_) interrupt_pumps();
}

bool Process::signal(int number) {
  if (end_) return false;
  if (number == SIGKILL || number == SIGTERM) abandon_pipes_ = true;
  const bool reached = child_->signal_group(number);
  if (number == SIGKILL) kill_descendants();
  if (exited_) interrupt_pumps();
  return reached;
}

// Those that made a process group of their own: the jobs of an interactive shell, for example. Without a
// control group only those that stayed in the session can be found.
void Process::kill_descendants() {
  if (cgroup_.own()) return cgroup_.kill();
  constexpr int kPasses = 3;  // one may fork while we look
  const auto session = child_->pid();
  bool found = true;
  for (int pass = 0; found && pass < kPasses; ++pass) {
    found = false;
    for (const pid_t pid : sys::list_pids()) {
      if (pid == session || ::getsid(pid) != session) continue;
      found = ::kill(pid, SIGKILL) == 0 || found;
    }
  }
}

void Process::interrupt_pumps() noexcept {
  for (auto* source : {&stdout_, &stderr_, &terminal_})
    if (*source) (*source)->interrupt();
}

void Process::close_all() noexcept {
  for (auto* descriptor : {&stdin_, &stdout_, &stderr_, &terminal_, &exit_})
    if (*descriptor) (*descriptor)->close();
}

// Held while one request writes, so that inputs do not mix.
struct Process::InputTurn {
  explicit InputTurn(Process& owner) : process(owner) { process.input_busy_ = true; }
  ~InputTurn() {
    process.input_busy_ = false;
    process.input_free_.notify_all();
  }
  InputTurn(const InputTurn&) = delete;
  InputTurn& operator=(const InputTurn&) = delete;
  Process& process;
};

Task<> Process::write_input(std::optional<async::Descriptor>& input, std::string data) {
  while (input_busy_) co_await input_free_.wait();
  const InputTurn turn(*this);
  if (exited_ || end_) throw_error(ErrorCode::failed_precondition, "process {} has ended", pid_);
  if (!input->is_open())
    throw_error(ErrorCode::failed_precondition, "the standard input of process {} is closed", pid_);
  std::exception_ptr failure;
  try {
    co_await input->write_all(data);
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(failure);
  throw_error(ErrorCode::failed_precondition, "process {} {} before it had read all of its input", pid_,
              exited_ ? "ended" : "closed its standard input");
}

Task<> Process::write_stdin(std::string data) {
  if (launch_.terminal)
    throw_error(ErrorCode::failed_precondition, "process {} has a terminal: send input of kind \"pty\"",
                pid_);
  if (!stdin_)
    throw_error(ErrorCode::failed_precondition,
                "process {} was started without standard input: start it with \"stdin\": true", pid_);
  co_await write_input(stdin_, std::move(data));
}

Task<> Process::write_terminal(std::string data) {
  if (!terminal_)
    throw_error(ErrorCode::failed_precondition, "process {} has no terminal: send input of kind \"stdin\"",
                pid_);
  co_await write_input(terminal_, std::move(data));
}

Task<> Process::close_stdin() {
  if (launch_.terminal)
    throw_error(ErrorCode::failed_precondition,
                "the standard input of process {} is a terminal and cannot be closed: send Ctrl-D (0x04)",
                pid_);
  if (!stdin_)
    throw_error(ErrorCode::failed_precondition, "process {} was started without standard input", pid_);
  while (input_busy_ && stdin_->is_open()) co_await input_free_.wait();
  stdin_->close();
}

void Process::resize(sys::WindowSize size) {
  if (!terminal_) throw_error(ErrorCode::failed_precondition, "process {} has no terminal to resize", pid_);
  sys::set_window_size(sys::FdView(terminal_->fd()), size);
}

void check_replay(std::uint32_t pid, std::int64_t wanted, std::uint64_t oldest, std::uint64_t end) {
  if (wanted < 0 || static_cast<std::uint64_t>(wanted) > end)
    throw_error(ErrorCode::invalid_argument, "field replayFrom: process {} has printed {} bytes, not {}", pid,
                end, wanted);
  const auto position = static_cast<std::uint64_t>(wanted);
  if (position < oldest)
    throw_error(ErrorCode::data_loss,
                "{} bytes of the output of process {} are no longer kept: connect with \"replayFrom\": {} "
                "for what is",
                oldest - position, pid, oldest);
}

Subscription::Subscription(async::Executor executor, std::shared_ptr<Process> process,
                           std::optional<std::int64_t> replay_from)
    : process_(std::move(process)), bell_(executor) {
  if (process_->log().subscribers() >= limits::kSubscribers)
    throw_error(ErrorCode::resource_exhausted, "{} streams are attached to process {}: at most {} can be",
                process_->log().subscribers(), process_->pid(), limits::kSubscribers);
  OutputLog& log = process_->log();
  if (replay_from) check_replay(process_->pid(), *replay_from, log.oldest(), log.end());
  const auto position = replay_from ? static_cast<std::uint64_t>(*replay_from) : log.end();
  handle_ = log.subscribe(position, [this] { bell_.ring(); });
}

Subscription::~Subscription() {
  process_->log().unsubscribe(handle_);
}

}  // namespace wrenn::envd::process
