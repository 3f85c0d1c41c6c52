#include <catch2/catch.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "linux/command.h"
#include "linux/process.h"
#include "linux/procfs.h"
#include "linux/pty.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::sys;
using namespace std::chrono_literals;

namespace {

SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  options.env = {"PATH=/usr/bin:/bin"};
  return options;
}

CommandResult run(SpawnOptions options, std::string_view input = {}) {
  return run_command(std::move(options), input, 10s);
}

// What starting such a process fails with: {errno, message}.
std::pair<int, std::string> spawn_failure(const SpawnOptions& options) {
  try {
    Process::spawn(options);
  } catch (const SystemError& error) {
    return {error.errno_value(), error.what()};
  }
  return {0, "no error"};
}

}  // namespace

TEST_CASE("exit codes and signals come back", "[linux][process]") {
  CHECK(run(shell("exit 0")).status.success());
  const auto seven = run(shell("exit 7"));
  CHECK(seven.status.code == 7);
  CHECK(seven.status.signal == 0);
  CHECK(to_string(seven.status) == "exit code 7");
  const auto killed = run(shell("kill -TERM $$"));
  CHECK(killed.status.signal == SIGTERM);
  CHECK_FALSE(killed.status.success());
  CHECK(to_string(killed.status) == "signal 15 (Terminated)");
}

TEST_CASE("waiting is bounded, repeatable, and ends a process's signals", "[linux][process]") {
  Process process = Process::spawn(shell("exec sleep 60"));
  CHECK(process.pid() > 0);
  CHECK_FALSE(process.try_wait());
  CHECK_FALSE(process.wait(20ms));
  CHECK(process.signal(SIGKILL));
  const auto status = process.wait(5s);
  REQUIRE(status);
  CHECK(status->signal == SIGKILL);
  REQUIRE(process.try_wait());
  CHECK(process.try_wait()->signal == SIGKILL);
  CHECK_FALSE(process.signal(SIGKILL));
}

TEST_CASE("the environment is what was given and nothing else", "[linux][process]") {
  SpawnOptions options;
  options.argv = {"env"};
  options.env = {"A=1", "PATH=/usr/bin:/bin", "B=two words"};
  CHECK(run(options).output == "A=1\nPATH=/usr/bin:/bin\nB=two words\n");
  options.env.clear();
  CHECK(run(options).output.empty());  // found by the default PATH
}

TEST_CASE("standard input, output, error, working directory, umask", "[linux][process]") {
  auto options = shell("cat; pwd; umask; echo oops >&2");
  options.cwd = "/usr";
  options.umask = 0027;
  const auto result = run(options, "hello\n");
  CHECK(result.output == "hello\n/usr\n0027\n");
  CHECK(result.error == "oops\n");
}

TEST_CASE("absent standard descriptors are /dev/null", "[linux][process]") {
  Process process = Process::spawn(shell("exec sleep 60"));
  for (int number = 0; number < 3; ++number) {
    char target[100];
    const auto length =
        ::readlink(fmt::format("/proc/{}/fd/{}", process.pid(), number).c_str(), target, sizeof(target));
    CHECK(std::string_view(target, static_cast<std::size_t>(std::max<ssize_t>(length, 0))) == "/dev/null");
  }
  process.signal(SIGKILL);
  REQUIRE(process.wait(5s));
}

TEST_CASE("descriptors reach the numbers asked for, even when these are taken or crosswise",
          "[linux][process]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  std::vector<Fd> files;
  for (int i = 0; i < 3; ++i) {
    files.push_back(open_file(dir.path() + "/" + std::to_string(i), O_RDWR | O_CREAT));
    write_full(files.back(), "file " + std::to_string(i) + "\n");
    ::lseek(files.back().get(), 0, SEEK_SET);
  }
  // A descriptor of a careless library, without O_CLOEXEC: must not arrive.
  const Fd leaked = Fd::adopt(::open("/dev/zero", O_RDONLY));

  SpawnOptions options = shell(
      "cat /proc/self/fd/8 /proc/self/fd/9 /proc/self/fd/20; ls -l /proc/$$/fd | grep -c /dev/zero; exit 0");
  options.fds = {{files[0], 8}, {files[1], 9}, {files[2], 20}};
  CHECK(run(options).output == "file 0\nfile 1\nfile 2\n0\n");

  // Crosswise: the source of each is the target of the other.
  const int first = files[0].get();
  const int second = files[1].get();
  SpawnOptions crossed = shell(fmt::format("cat /proc/self/fd/{} /proc/self/fd/{}", second, first));
  crossed.fds = {{files[0], second}, {files[1], first}};
  CHECK(run(crossed).output == "file 0\nfile 1\n");

  options.fds = {{files[0], 8}, {files[1], 8}};
  CHECK_THROWS_AS(Process::spawn(options), Error);
}

TEST_CASE("a start that fails says which step and why", "[linux][process]") {
  SpawnOptions options;
  options.argv = {"/nonexistent/program"};
  auto [error, message] = spawn_failure(options);
  CHECK(error == ENOENT);
  CHECK(message == "start /nonexistent/program: exec: No such file or directory");

  options.argv = {"no-such-program-anywhere"};
  CHECK(spawn_failure(options).first == ENOENT);
  options.argv = {"/etc/passwd"};
  CHECK(spawn_failure(options).first == EACCES);
  options.argv = {"/bin/true"};
  options.cwd = "/nonexistent";
  std::tie(error, message) = spawn_failure(options);
  CHECK(error == ENOENT);
  CHECK(message == "start /bin/true: enter the working directory: No such file or directory");
  options.cwd.clear();
  options.stdin_fd = FdView(9999);
  CHECK(spawn_failure(options).first == EBADF);
  options.stdin_fd = {};
  options.new_session = true;
  options.controlling_tty = true;  // stdin is /dev/null
  CHECK(spawn_failure(options).first == ENOTTY);

  CHECK_THROWS_AS(Process::spawn(SpawnOptions{}), Error);
  // None of these left a zombie.
  for (const pid_t pid : list_pids()) {
    const auto stat = read_proc_stat(pid);
    if (stat && stat->parent == ::getpid()) CHECK(stat->state != 'Z');
  }
}

TEST_CASE("signals are at their defaults and unblocked in the child", "[linux][process]") {
  struct sigaction ignore{};
  struct sigaction before{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  sigset_t block;
  sigset_t mask_before;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &block, &mask_before);
  SpawnOptions options;
  options.argv = {"cat", "/proc/self/status"};
  const auto result = run(options);
  ::pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
  ::sigaction(SIGPIPE, &before, nullptr);
  CHECK(result.output.find(
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n") !=
        std::string::npos);
}

TEST_CASE("our own mask is restored after a start and after a failed one", "[linux][process]") {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  run(shell("true"));
  SpawnOptions broken;
  broken.argv = {"/nonexistent"};
  spawn_failure(broken);
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int number = 1; number < 64; ++number)
    CHECK(sigismember(&before, number) == sigismember(&after, number));
}

TEST_CASE("limits, nice, oom score, no_new_privs", "[linux][process]") {
  auto options = shell(
      "ulimit -n; cut -d' ' -f19 /proc/$$/stat; cat /proc/self/oom_score_adj; grep NoNewPrivs "
      "/proc/self/status | tr -d '\\t'");
  options.limits = {{RLIMIT_NOFILE, 77, 77}};
  options.nice = 5;
  options.oom_score_adj = 321;
  options.no_new_privs = true;
  CHECK(run(options).output == "77\n5\n321\nNoNewPrivs:1\n");
  CHECK(read_file("/proc/self/oom_score_adj", 100) != "321\n");  // not ours, although the memory was shared
}

TEST_CASE("a session and its process group", "[linux][process]") {
  auto options = shell("sleep 60 & sleep 60");
  options.new_session = true;
  Process process = Process::spawn(options);
  CHECK(::getsid(process.pid()) == process.pid());
  CHECK(process.signal_group(SIGKILL));
  REQUIRE(process.wait(5s));
}

TEST_CASE("a terminal: controlling, sized, and hung up at the end", "[linux][process][pty]") {
  Pty pty = open_pty({30, 100});
  auto options = shell("stty size; tty; exec cat /dev/tty");
  options.stdin_fd = pty.terminal;
  options.stdout_fd = pty.terminal;
  options.stderr_fd = pty.terminal;
  options.new_session = true;
  options.controlling_tty = true;
  Process process = Process::spawn(options);
  pty.terminal.reset();
  set_window_size(pty.controller, {50, 120});
  CHECK(window_size(pty.controller).rows == 50);
  std::string output;
  char buffer[512];
  const auto until = [&](std::string_view text) {
    while (output.find(text) == std::string::npos && wait_readable(pty.controller, 5s)) {
      const auto got = ::read(pty.controller.get(), buffer, sizeof(buffer));
      if (got <= 0) return false;
      output.append(buffer, static_cast<std::size_t>(got));
    }
    return output.find(text) != std::string::npos;
  };
  CHECK(until("/dev/pts/"));
  write_full(pty.controller, std::string_view("echoed\n"));
  CHECK(until("echoed\r\nechoed\r\n"));  // by the terminal, then by cat from /dev/tty
  write_full(pty.controller,
             std::string_view("\x03"));  // ^C reaches the foreground group only of a controlling terminal
  const auto status = process.wait(5s);
  REQUIRE(status);
  CHECK(status->signal == SIGINT);
}

TEST_CASE("adopting: the same process, never one with the same pid", "[linux][process]") {
  Process process = Process::spawn(shell("exec sleep 60"));
  CHECK(process.start_time() == read_proc_stat(process.pid())->start_time);
  CHECK_FALSE(Process::adopt(process.pid(), process.start_time() + 1));
  CHECK_FALSE(Process::adopt(4'194'305, 1));
  CHECK_FALSE(Process::adopt(-1, 1));
  auto adopted = Process::adopt(process.pid(), process.start_time());
  REQUIRE(adopted);
  CHECK_FALSE(adopted->try_wait());
  CHECK(adopted->signal(SIGKILL));
  REQUIRE(process.wait(5s));
  CHECK_FALSE(Process::adopt(process.pid(), process.start_time()));
  // Only the first of the two could learn the status.
  const auto status = adopted->try_wait();
  REQUIRE(status);
  CHECK_FALSE(status->known);
  CHECK_FALSE(status->success());
}

TEST_CASE("a zombie is not adopted", "[linux][process]") {
  Process process = Process::spawn(shell("exit 0"));
  REQUIRE(wait_readable(process.pidfd(), 5s));
  CHECK_FALSE(Process::adopt(process.pid(), process.start_time()));
  REQUIRE(process.try_wait());
}

TEST_CASE("a command that does not end is killed with what it started", "[linux][command]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  auto options = shell("sleep 60 & echo $! > " + dir.path() + "/pid; wait");
  try {
    run_command(options, {}, 2s);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::deadline_exceeded);
  }
  const auto pid = parse_int<pid_t>(trim(read_file(dir.path() + "/pid", 100)));
  REQUIRE(pid);
  // Killed; whoever inherited it may not have reaped it yet.
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i) {
    const auto stat = read_proc_stat(*pid);
    gone = !stat || stat->state == 'Z' || stat->state == 'X';
    if (!gone) ::usleep(10'000);
  }
  CHECK(gone);
}

TEST_CASE("the output of a command is cut at the limit", "[linux][command]") {
  const auto result = run_command(shell("head -c 100000 /dev/zero"), {}, 10s, 1000);
  CHECK(result.status.success());
  CHECK(result.output.size() == 1000);
}
