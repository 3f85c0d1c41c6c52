// Process: one process that a client started, from before its spawn until its end has been told.
//
//   created ──spawn──► running ──pidfd readable──► exited ──pipes at their end──► ended
//   (log and first                                 (a zombie: its group id       (reaped; the end event
//    subscriber exist)                              stays ours to signal)         can be asked for)
//
// An exited process whose pipes a background child still holds stays in "exited" until they are closed; after
// a SIGTERM or SIGKILL of a client nobody waits for those pipes any more.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/async/descriptor.h"
#include "core/async/event.h"
#include "envd/cgroups.h"
#include "envd/process/doorbell.h"
#include "envd/process/output_log.h"
#include "envd/process/spawn.h"

namespace wrenn::envd::process {

class Process {
 public:
  // Opens its pipes or its terminal. `scratch` is where the pumps of all processes read into: between a read
  // and the log nothing else runs. Throws SystemError.
  // `replay_bytes`: how much of its output stays for clients that reconnect.
  Process(async::Executor executor, Launch launch, std::span<char> scratch, std::size_t replay_bytes);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // For the spawn, on a pool thread while nothing else uses this object.
  const Launch& launch() const noexcept { return launch_; }
  const ChildEnds& child_ends() const noexcept { return child_ends_; }

  // The spawned process is `child`; closes our copies of its ends. Then run() once. Throws SystemError, in
  // which case both are left as they were.
  void begin(sys::Process&& child, Cgroups::Leaf&& cgroup);
  // Moves output into the log and waits for the end. Throws Error(canceled) only.
  Task<> run(Cgroups& cgroups);
  // SIGKILL at `time` unless it has ended before. Throws Error(canceled) only.
  Task<> kill_at(SteadyTime time);

  std::uint32_t pid() const noexcept { return pid_; }
  // Set once the log is finished and the process is reaped.
  const std::optional<sys::ExitStatus>& end() const noexcept { return end_; }
  bool timed_out() const noexcept { return timed_out_; }  // kill_at() killed it
  OutputLog& log() noexcept { return log_; }

  // To its whole process group; SIGKILL also to everything in its control group, or else in its session.
  // False if it has ended. Throws SystemError.
  bool signal(int number);
  // Writes all of `data` after what others are writing. Throws Error(failed_precondition) when there is no
  // such input, or when it was closed by either side or the process ended before all was taken;
  // Error(canceled).
  Task<> write_stdin(std::string data);
  Task<> write_terminal(std::string data);
  // After what is being written. Closing twice is fine. Throws Error(failed_precondition) if there never was
  // one.
  Task<> close_stdin();
  // Throws Error(failed_precondition) without a terminal, SystemError.
  void resize(sys::WindowSize size);

 private:
  struct InputTurn;
  Task<> pump(async::Descriptor& source, Channel channel, std::size_t chunk_bytes);
  Task<> pump_all();
  Task<> wait_for_exit();
  Task<> write_input(std::optional<async::Descriptor>& input, std::string data);
  void kill_descendants();
  void interrupt_pumps() noexcept;
  void close_all() noexcept;

  async::Executor executor_;
  Launch launch_;
  std::span<char> scratch_;
  ChildEnds child_ends_;
  std::optional<async::Descriptor> stdin_, stdout_, stderr_, terminal_;
  async::Event room_;
  OutputLog log_;
  async::Event input_free_;
  bool input_busy_ = false;
  std::optional<sys::Process> child_;
  std::optional<async::Descriptor> exit_;  // its pidfd
  Cgroups::Leaf cgroup_;
  std::uint32_t pid_ = 0;
  bool exited_ = false;
  bool abandon_pipes_ = false;
  bool timed_out_ = false;
  Doorbell ended_;  // for kill_at()
  std::optional<sys::ExitStatus> end_;
};

// The client has the output up to `wanted`, what is kept begins at `oldest` and ends at `end`. Throws
// Error(data_loss) that says how much is lost, Error(invalid_argument) when the client has more than there
// is.
void check_replay(std::uint32_t pid, std::int64_t wanted, std::uint64_t oldest, std::uint64_t end);

// A stream attached to a process. Sees the output from its creation on, or from a position; keeps the process
// object alive.
class Subscription {
 public:
  // Throws Error(resource_exhausted) when the process has too many, and what check_replay() throws.
  Subscription(async::Executor executor, std::shared_ptr<Process> process,
               std::optional<std::int64_t> replay_from = std::nullopt);
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  Process& process() noexcept { return *process_; }
  // The next piece of output, if there is one. Valid until the next suspension.
  std::optional<Piece> peek() const noexcept { return process_->log().peek(handle_); }
  void advance() { process_->log().advance(handle_); }
  // Waits until there is more to see; false when `time` comes first. Throws Error(canceled).
  Task<bool> wait_until(SteadyTime time) { return bell_.wait_until(time); }

 private:
  std::shared_ptr<Process> process_;
  Doorbell bell_;
  OutputLog::Handle handle_;
};

}  // namespace wrenn::envd::process
