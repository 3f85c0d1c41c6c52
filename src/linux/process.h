// Child processes: started with every attribute decided by the caller, referred to by pidfd so that a
// recycled pid is never signalled.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "linux/fd.h"

namespace wrenn::sys {

// `source` of the parent becomes descriptor number `target` of the child.
struct PassedFd {
  FdView source;
  int target = -1;
};

struct ProcessIdentity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary; replaces the parent's
};

struct ResourceLimit {
  int resource = 0;  // RLIMIT_*
  rlim_t soft = RLIM_INFINITY;
  rlim_t hard = RLIM_INFINITY;
};

// What the child gets. It inherits nothing else: environment empty unless given, every descriptor but the
// passed ones closed at exec, all signals at their default and unblocked. Applied in this order: cgroup,
// netns, mount namespace, oom score, nice, limits, session, descriptors, identity, working directory,
// pdeathsig, no_new_privs, exec.
struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is the program; without a slash it is looked up in PATH of `env`
  std::string program;            // when set, runs this file instead of argv[0]
  std::vector<std::string> env;   // "NAME=value"
  std::string cwd;                // entered with the child's identity; empty keeps ours

  FdView stdin_fd;  // an unset one is /dev/null
  FdView stdout_fd;
  FdView stderr_fd;
  std::vector<PassedFd> fds;  // targets 3 and up, distinct

  FdView netns;                       // unset keeps ours
  FdView cgroup;                      // directory of a cgroup v2; unset keeps ours
  bool join_cgroup_by_write = false;  // the way of kernels before 5.7; taken by itself when those say so
  bool new_mount_namespace =
      false;  // "/" becomes a recursive slave: unmounts reach the child, its own stay inside
  std::optional<ProcessIdentity> identity;

  bool new_session = false;
  bool controlling_tty = false;  // makes stdin the controlling terminal; needs new_session
  bool no_new_privs = false;
  // Sent to the child when the *thread* that spawned it ends, so only spawn from a thread that stays. 0 is
  // none.
  int parent_death_signal = 0;

  std::vector<ResourceLimit> limits;
  std::optional<int> oom_score_adj;  // -1000 … 1000
  std::optional<int> nice;           // -20 … 19
  std::optional<mode_t> umask;
};

// Why a process could not be started: what of it is the fault of the command, and what is ours.
class SpawnError : public SystemError {
 public:
  enum class Step { exec, working_directory, other };
  SpawnError(Step step, int errno_value, std::string_view what)
      : SystemError(errno_value, what), step_(step) {}
  Step step() const noexcept { return step_; }

 private:
  Step step_;
};

struct ExitStatus {
  bool known = true;  // false for an adopted process that is not our child: the kernel tells only its parent
  int code = 0;       // when it exited by itself
  int signal = 0;     // when a signal ended it, else 0
  bool core_dumped = false;

  bool success() const noexcept { return known && code == 0 && signal == 0; }
};
std::string to_string(const ExitStatus& status);  // "exit code 3", "signal 9 (Killed)"

// A process, ours or adopted. Destruction closes the pidfd and nothing else: the process lives on (an ended
// child that was never waited for stays a zombie until we end). Owners that want it gone signal and wait.
class Process {
 public:
  // Returns when the child's exec has succeeded, and blocks the calling thread until then (about 1 ms, longer
  // on a slow disk). Throws SystemError when it cannot be started, with the step that failed: "start qemu:
  // exec: No such file or directory". SIGCHLD must not be ignored in our process.
  static Process spawn(const SpawnOptions& options);

  // Refers to a running process that an earlier run of ours started. Absent if it is gone or the pid now
  // belongs to another process, which the start time tells. Throws SystemError for other failures.
  static std::optional<Process> adopt(pid_t pid, std::uint64_t start_time);

  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) noexcept = default;

  pid_t pid() const noexcept { return pid_; }
  // Clock ticks since boot (field 22 of /proc/PID/stat); with the pid it names this process for all time.
  std::uint64_t start_time() const noexcept { return start_time_; }
  // Becomes readable when the process has ended.
  FdView pidfd() const noexcept { return pidfd_; }

  // False if the process has ended and was waited for. Throws SystemError (EPERM, EINVAL).
  bool signal(int number) const;
  // The same for the process group it leads (see new_session). False when no such group is left.
  bool signal_group(int number) const;

  // Absent while it runs; afterwards always the same status. Throws SystemError.
  std::optional<ExitStatus> try_wait();
  // Waits at most `timeout`; blocks the thread. Zero does not wait.
  std::optional<ExitStatus> wait(std::chrono::milliseconds timeout);

 private:
  Process(pid_t pid, std::uint64_t start_time, Fd pidfd)
      : pid_(pid), start_time_(start_time), pidfd_(std::move(pidfd)) {}

  pid_t pid_;
  std::uint64_t start_time_;
  Fd pidfd_;
  std::optional<ExitStatus> status_;
};

// Waits at most `timeout` for a descriptor to become readable or hung up; false when the time is over. Throws
// SystemError.
bool wait_readable(FdView fd, std::chrono::milliseconds timeout);

}  // namespace wrenn::sys
