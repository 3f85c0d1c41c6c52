// Starting a process. The parent prepares everything, the child only makes system calls:
//
//   parent thread                              child
//   ─────────────                              ─────
//   build argv, envp, paths, fd table
//   block all signals
//   clone(VFORK, own stack) ────────────────►  we stand still meanwhile
//                                              namespaces, limits, descriptors, identity …
//                                              failure: write {step, errno} into the shared Outcome, _exit
//   resume, restore signals  ◄───────────────  exec (or exit) releases us
//   Outcome.failed_step set? reap and throw
//
// Without a change of user the child also shares our memory (CLONE_VM), so the price does not depend on the
// size of this process. With one it gets a copy: a process of that user could otherwise trace the child
// before its exec and read or write our memory through it, and the kernel would mark our own memory as not
// dumpable.
//
// Sharing means that the child must not allocate, lock, throw, or call libc wrappers that act on other
// threads: set*id go through syscall(), because glibc's versions would change all threads of the parent.
#include "linux/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "core/base/error.h"
#include "core/base/text.h"
#include "linux/kernel_limits.h"
#include "linux/procfs.h"
#include "linux/signal_mask.h"

namespace wrenn::sys {

namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct FdMove {
  int source;
  int target;
  int parked;  // where the source waits, above all targets, while the targets are being filled
};

// In memory that parent and child share in every case.
struct Outcome {
  const char* volatile failed_step = nullptr;
  volatile int error = 0;
};

// All the child needs, built before it exists. It reads this and writes only `parked`.
struct Plan {
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<std::string> candidates;  // files to try to exec, in order
  std::vector<FdMove> moves;
  std::vector<int> targets;  // sorted
  std::string oom_score_adj;
  const SpawnOptions* options = nullptr;
  int cgroup_procs = -1;  // set when the child itself must write itself into the cgroup
  Outcome* outcome = nullptr;
};

[[noreturn]] void fail(Plan& plan, const char* step, int error) {
  plan.outcome->error = error;
  plan.outcome->failed_step = step;
  ::_exit(127);
}

// For calls that return -1 and set errno (shared with the parent thread, which stands still).
void must(Plan& plan, const char* step, long result) {
  if (result < 0) fail(plan, step, errno);
}

// libc's sigaction() refuses its own two real-time signals, so talk to the kernel. Zero is SIG_DFL with no
// flags.
void reset_signals() {
  struct {
    void* handler = nullptr;
    unsigned long flags = 0;
    void* restorer = nullptr;
    std::uint64_t mask = 0;
  } action;
  for (int number = 1; number <= 64; ++number) {
    if (number == SIGKILL || number == SIGSTOP) continue;
    ::syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof(action.mask));
  }
}

void move_descriptors(Plan& plan) {
  const int above = plan.targets.back() + 1;
  for (FdMove& move : plan.moves) {
    move.parked = ::fcntl(move.source, F_DUPFD_CLOEXEC, above);
    must(plan, "pass descriptors", move.parked);
  }
  for (const FdMove& move : plan.moves) must(plan, "pass descriptors", ::dup2(move.parked, move.target));
  // Everything else is opened O_CLOEXEC; this covers what a library forgot.
  unsigned first = 0;
  for (const int target : plan.targets) {
    const auto number = static_cast<unsigned>(target);
    if (number > first)
      must(plan, "close descriptors", ::syscall(SYS_close_range, first, number - 1, CLOSE_RANGE_CLOEXEC));
    first = number + 1;
  }
  must(plan, "close descriptors", ::syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC));
}

void exec_first(Plan& plan) {
  int error = ENOENT;
  for (const std::string& file : plan.candidates) {
    ::execve(file.c_str(), plan.argv.data(), plan.envp.data());
    // As execvp(): keep looking when it is not there, but remember that one was there and forbidden.
    if (errno == EACCES)
      error = EACCES;
    else if (errno != ENOENT && errno != ENOTDIR)
      fail(plan, "exec", errno);
  }
  fail(plan, "exec", error);
}

int child_main(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  const SpawnOptions& options = *plan.options;

  reset_signals();
  if (plan.cgroup_procs >= 0) must(plan, "join the cgroup", ::write(plan.cgroup_procs, "0", 1));
  if (options.netns.valid())
    must(plan, "enter the network namespace", ::setns(options.netns.get(), CLONE_NEWNET));
  if (options.new_mount_namespace) {
    must(plan, "create a mount namespace", ::unshare(CLONE_NEWNS));
    must(plan, "make mounts private", ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr));
  }
  if (!plan.oom_score_adj.empty()) {
    const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    must(plan, "set oom_score_adj", fd);
    must(plan, "set oom_score_adj", ::write(fd, plan.oom_score_adj.data(), plan.oom_score_adj.size()));
    ::close(fd);
  }
  if (options.nice) must(plan, "set the nice value", ::setpriority(PRIO_PROCESS, 0, *options.nice));
  if (options.umask) ::umask(*options.umask);
  if (options.new_session) must(plan, "create a session", ::setsid());

  move_descriptors(plan);
  // After the descriptors: a parent with many open has none free below the limit that the child gets.
  for (const ResourceLimit& limit : options.limits) {
    const rlimit value{limit.soft, limit.hard};
    must(plan, "set a resource limit", ::setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &value));
  }
  if (options.controlling_tty) must(plan, "take the terminal", ::ioctl(0, TIOCSCTTY, 0));

  if (options.identity) {
    const ProcessIdentity& who = *options.identity;
    must(plan, "set supplementary groups", ::syscall(SYS_setgroups, who.groups.size(), who.groups.data()));
    must(plan, "set the group", ::syscall(SYS_setresgid, who.gid, who.gid, who.gid));
    must(plan, "set the user", ::syscall(SYS_setresuid, who.uid, who.uid, who.uid));
  }
  if (!options.cwd.empty()) must(plan, "enter the working directory", ::chdir(options.cwd.c_str()));
  // After the change of user, which clears it.
  if (options.parent_death_signal != 0)
    must(plan, "set the parent death signal", ::prctl(PR_SET_PDEATHSIG, options.parent_death_signal));
  if (options.no_new_privs) must(plan, "set no_new_privs", ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));

  const std::uint64_t unblocked = 0;
  must(plan, "unblock signals",
       ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &unblocked, nullptr, sizeof(unblocked)));
  exec_first(plan);
  return 127;  // not reached
}

// Memory that both see: an Outcome, a guard page, and above it the child's stack.
class SharedArea {
 public:
  SharedArea() {
    base_ = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw_errno("allocate a stack of {} bytes", kBytes);
    ::mprotect(static_cast<std::byte*>(base_) + kPage, kPage, PROT_NONE);
    outcome_ = new (base_) Outcome;
  }
  ~SharedArea() { ::munmap(base_, kBytes); }
  SharedArea(const SharedArea&) = delete;
  SharedArea& operator=(const SharedArea&) = delete;

  Outcome* outcome() const noexcept { return outcome_; }
  std::byte* stack_base() const noexcept { return static_cast<std::byte*>(base_) + 2 * kPage; }
  std::byte* stack_top() const noexcept { return static_cast<std::byte*>(base_) + kBytes; }
  std::size_t stack_size() const noexcept { return kBytes - 2 * kPage; }

 private:
  static constexpr std::size_t kPage = 65536;  // the largest page size of any architecture
  static constexpr std::size_t kBytes = 2 * kPage + limits::kSpawnStackBytes;
  void* base_;
  Outcome* outcome_;
};

std::uint64_t clone_flags(const SpawnOptions& options) {
  return CLONE_VFORK | CLONE_PIDFD | (options.identity ? 0 : CLONE_VM);
}

// libc's clone() cannot carry CLONE_INTO_CGROUP, and libc has no public clone3(), so the call is made here; a
// new stack needs a few instructions of assembly. Entering the cgroup at clone costs nothing, while moving a
// running process waits for an RCU grace period of the whole machine. Returns the pid or -errno.
long clone_into_cgroup(Plan& plan, const SharedArea& area, int& pidfd) {
#if defined(__x86_64__)
  struct clone_args arguments{};
  arguments.flags = clone_flags(*plan.options) | CLONE_INTO_CGROUP;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.stack = reinterpret_cast<std::uintptr_t>(area.stack_base());
  arguments.stack_size = area.stack_size();
  arguments.cgroup = static_cast<std::uint64_t>(plan.options->cgroup.get());
  long result = SYS_clone3;
  // rdi and rsi hold the system call's arguments; r8 and r9 survive it and are what the child starts with.
  register void* child_argument asm("r8") = &plan;
  register int (*child_function)(void*) asm("r9") = child_main;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r8, %%rdi\n\t"
      "call *%%r9\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(&arguments), "S"(sizeof(arguments)), "r"(child_argument), "r"(child_function)
      : "rcx", "r11", "memory", "cc");
  return result;
#else
  (void)plan, (void)area, (void)pidfd;
  return -ENOSYS;
#endif
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts)
    result.push_back(const_cast<char*>(text.c_str()));  // exec's C signature
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> exec_candidates(const SpawnOptions& options) {
  const std::string& name = options.program.empty() ? options.argv.front() : options.program;
  if (name.find('/') != std::string::npos) return {name};
  std::string_view path = kDefaultPath;
  for (const std::string& variable : options.env)
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  std::vector<std::string> files;
  for (const std::string_view directory : split(path, ':'))
    files.push_back(directory.empty() ? name : std::string(directory) + "/" + name);
  return files;
}

// `null` stands in for the standard descriptors that the caller left out.
void plan_descriptors(Plan& plan, const SpawnOptions& options, FdView null) {
  const FdView standard[] = {options.stdin_fd, options.stdout_fd, options.stderr_fd};
  for (int target = 0; target < 3; ++target) {
    const FdView source = standard[target].valid() ? standard[target] : null;
    plan.moves.push_back({source.get(), target, -1});
  }
  for (const PassedFd& passed : options.fds) plan.moves.push_back({passed.source.get(), passed.target, -1});
  for (const FdMove& move : plan.moves) plan.targets.push_back(move.target);
  std::sort(plan.targets.begin(), plan.targets.end());
  if (plan.targets.front() < 0 ||
      std::adjacent_find(plan.targets.begin(), plan.targets.end()) != plan.targets.end())
    throw_error(ErrorCode::invalid_argument, "start {}: two descriptors have the same target number",
                options.argv.front());
}

[[noreturn]] void throw_spawn_error(const SpawnOptions& options, const char* step, int error) {
  const std::string& name = options.program.empty() ? options.argv.front() : options.program;
  const std::string_view text = step;
  auto kind = SpawnError::Step::other;
  if (text == "exec") kind = SpawnError::Step::exec;
  if (text == "enter the working directory") kind = SpawnError::Step::working_directory;
  throw SpawnError(kind, error, fmt::format("start {}: {}", name, step));
}

void reap(FdView pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::string to_string(const ExitStatus& status) {
  if (!status.known) return "ended with unknown status";
  if (status.signal == 0) return fmt::format("exit code {}", status.code);
  return fmt::format("signal {} ({}){}", status.signal, ::strsignal(status.signal),
                     status.core_dumped ? ", core dumped" : "");
}

Process Process::spawn(const SpawnOptions& options) {
  if (options.argv.empty()) throw_error(ErrorCode::invalid_argument, "start a process: argv is empty");
  if (options.controlling_tty && !options.new_session)
    throw_error(ErrorCode::invalid_argument, "start {}: a controlling terminal needs a new session",
                options.argv.front());

  Plan plan;
  plan.options = &options;
  plan.argv = pointers(options.argv);
  plan.envp = pointers(options.env);
  plan.candidates = exec_candidates(options);
  if (options.oom_score_adj) plan.oom_score_adj = std::to_string(*options.oom_score_adj);
  const Fd null = open_file("/dev/null", O_RDWR);
  plan_descriptors(plan, options, null);

  const SharedArea area;
  plan.outcome = area.outcome();
  int raw_pidfd = -1;
  long pid = -ENOSYS;
  {
    // A handler of ours must not run in the child, on our memory; it starts with everything blocked.
    const SignalBlock blocked;
    if (options.cgroup.valid() && !options.join_cgroup_by_write)
      pid = clone_into_cgroup(plan, area, raw_pidfd);
    // ENOSYS and E2BIG: kernel before 5.7, EPERM: a seccomp filter of a container; EBADF: not a cgroup v2.
    const bool old_way = pid == -ENOSYS || pid == -E2BIG || pid == -EPERM || pid == -EBADF || pid == -EINVAL;
    if (old_way) {
      Fd procs;
      if (options.cgroup.valid()) procs = open_at(options.cgroup, "cgroup.procs", O_WRONLY);
      plan.cgroup_procs = procs.get();
      pid = ::clone(child_main, area.stack_top(), static_cast<int>(clone_flags(options) | SIGCHLD), &plan,
                    &raw_pidfd);
      if (pid < 0) pid = -errno;
    }
  }
  if (pid < 0) throw_spawn_error(options, "create the process", static_cast<int>(-pid));

  Fd pidfd = Fd::adopt(raw_pidfd);
  if (plan.outcome->failed_step != nullptr) {
    reap(pidfd);
    throw_spawn_error(options, plan.outcome->failed_step, plan.outcome->error);
  }
  // Cannot be absent: even if it has ended already, it stays a zombie until we wait for it.
  const auto stat = read_proc_stat(static_cast<pid_t>(pid));
  return Process(static_cast<pid_t>(pid), stat ? stat->start_time : 0, std::move(pidfd));
}

std::optional<Process> Process::adopt(pid_t pid, std::uint64_t start_time) {
  const int raw = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (raw < 0) {
    if (errno == ESRCH || errno == EINVAL) return std::nullopt;
    throw_errno("open a pidfd of process {}", pid);
  }
  Fd pidfd = Fd::adopt(raw);
  // The pidfd pins the process it was opened for, so a check after opening cannot be outrun by a recycled
  // pid: if the pid changed hands in between, the start time differs.
  const auto stat = read_proc_stat(pid);
  if (!stat || stat->start_time != start_time || stat->state == 'Z' || stat->state == 'X')
    return std::nullopt;
  return Process(pid, start_time, std::move(pidfd));
}

bool Process::signal(int number) const {
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) == 0) return true;
  if (errno == ESRCH) return false;
  throw_errno("send signal {} to process {}", number, pid_);
}

bool Process::signal_group(int number) const {
  if (::kill(-pid_, number) == 0) return true;
  if (errno == ESRCH) return false;
  throw_errno("send signal {} to process group {}", number, pid_);
}

std::optional<ExitStatus> Process::try_wait() {
  if (status_) return status_;
  siginfo_t info{};
  int result;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
  } while (result < 0 && errno == EINTR);
  if (result < 0) {
    if (errno != ECHILD) throw_errno("wait for process {}", pid_);
    // Not our child: the pidfd still tells that it has ended, only not how.
    if (!wait_readable(pidfd_, std::chrono::milliseconds(0))) return std::nullopt;
    status_ = ExitStatus{.known = false};
    return status_;
  }
  if (info.si_pid == 0) return std::nullopt;
  ExitStatus status;
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal = info.si_status;
    status.core_dumped = info.si_code == CLD_DUMPED;
  }
  status_ = status;
  return status_;
}

std::optional<ExitStatus> Process::wait(std::chrono::milliseconds timeout) {
  if (status_) return status_;
  if (!wait_readable(pidfd_, timeout)) return std::nullopt;
  return try_wait();
}

bool wait_readable(FdView fd, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{fd.get(), POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<long>(left.count(), 0, 1'000'000'000)));
    if (ready > 0) return true;
    if (ready == 0 && left.count() <= 0) return false;
    if (ready < 0 && errno != EINTR) throw_errno("wait for descriptor {}", fd.get());
  }
}

}  // namespace wrenn::sys
