#include "envd/process/spawn.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"

namespace wrenn::envd::process {

namespace {

// What a process gets back of the privileges that envd has for itself.
constexpr int kOomScoreAdj = 100;
constexpr int kNice = 0;
constexpr mode_t kUmask = 022;

// The kernel lets a process without privilege raise its own score and that of its children, never lower it.
int oom_score() {
  const auto ours = sys::try_read_file("/proc/self/oom_score_adj", 16);
  const auto score = ours ? parse_int<int>(trim(*ours)) : std::nullopt;
  return ::geteuid() == 0 ? kOomScoreAdj : std::max(kOomScoreAdj, score.value_or(0));
}

// Absent when the child would be what we are already: the kernel can then start it without copying our memory
// map.
std::optional<sys::ProcessIdentity> identity_of(const User& user) {
  if (::geteuid() != 0) {
    if (user.uid == ::geteuid()) return std::nullopt;
    throw_error(ErrorCode::permission_denied,
                "envd runs as user {} and cannot start a process as {}: that takes root", ::geteuid(),
                user.name);
  }
  std::vector<gid_t> wanted = user.groups;
  std::vector<gid_t> ours(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  if (::getgroups(static_cast<int>(ours.size()), ours.data()) < 0) ours.clear();
  ours.push_back(::getegid());
  for (auto* list : {&wanted, &ours}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  if (user.uid == ::geteuid() && user.gid == ::getegid() && wanted == ours) return std::nullopt;
  return sys::ProcessIdentity{user.uid, user.gid, user.groups};
}

// envd raises its own.
sys::ResourceLimit descriptor_limit() {
  rlimit ours{};
  ::getrlimit(RLIMIT_NOFILE, &ours);
  return {RLIMIT_NOFILE, std::min<rlim_t>(limits::kChildDescriptors, ours.rlim_max), ours.rlim_max};
}

sys::SpawnOptions options_of(const Launch& launch, const ChildEnds& ends, sys::FdView cgroup) {
  sys::SpawnOptions options;
  options.argv.push_back(launch.config.cmd);
  options.argv.insert(options.argv.end(), launch.config.args.begin(), launch.config.args.end());
  options.env = launch.env;
  options.cwd = launch.cwd;
  options.stdin_fd = ends.input;
  options.stdout_fd = ends.output;
  options.stderr_fd = ends.error;
  options.cgroup = cgroup;
  options.identity = identity_of(launch.user);
  options.new_session = true;
  options.controlling_tty = launch.terminal.has_value();
  options.oom_score_adj = oom_score();
  if (::geteuid() == 0) options.nice = kNice;  // others may only lower their priority
  options.umask = kUmask;
  options.limits.push_back(descriptor_limit());
  return options;
}

// The file that exec would have found: for a script without "#!", which is the shell's to interpret.
std::string find_program(const std::string& name, const std::vector<std::string>& env) {
  if (name.find('/') != std::string::npos) return name;
  for (const std::string& variable : env) {
    if (!variable.starts_with("PATH=")) continue;
    for (const std::string_view directory : split(std::string_view(variable).substr(5), ':')) {
      std::string file = directory.empty() ? name : std::string(directory) + "/" + name;
      if (::access(file.c_str(), X_OK) == 0) return file;
    }
  }
  return name;
}

// What the SDKs run everything with, and not every image has it.
bool is_bash(std::string_view command) {
  return command == "bash" || command.ends_with("/bash");
}

struct Failure {
  int exit_code;
  std::string text;
};

Failure failure_of(const std::string& command, int error) {
  const std::string shown = sanitize_utf8(command);
  if (error == ENOENT && command.find('/') == std::string::npos) return {127, shown + ": command not found"};
  if (error == ENOENT || error == ENOTDIR) return {127, shown + ": No such file or directory"};
  std::string text = SystemError(error, shown).what();
  return {126, std::move(text)};
}

[[noreturn]] void throw_cwd_error(const Launch& launch, int error) {
  const std::string cwd = sanitize_utf8(launch.cwd);
  if (error == ENOENT) throw_error(ErrorCode::invalid_argument, "cwd '{}' does not exist", cwd);
  if (error == ENOTDIR) throw_error(ErrorCode::invalid_argument, "cwd '{}' is not a directory", cwd);
  const std::string reason = SystemError(error, "chdir").what();
  throw_error(ErrorCode::invalid_argument, "cwd '{}' cannot be entered by user {}: {}", cwd, launch.user.name,
              reason);
}

// 0 in `exec_error` unless the exec failed, in which case nothing has been started.
std::optional<sys::Process> try_spawn(const Launch& launch, sys::SpawnOptions& options, int& exec_error) {
  for (;;) {
    try {
      return sys::Process::spawn(options);
    } catch (const sys::SpawnError& failed) {
      if (failed.step() == sys::SpawnError::Step::exec) {
        exec_error = failed.errno_value();
        return std::nullopt;
      }
      if (failed.step() != sys::SpawnError::Step::working_directory) throw;
      if (launch.cwd_asked || options.cwd == "/") throw_cwd_error(launch, failed.errno_value());
      options.cwd = "/";
    }
  }
}

}  // namespace

sys::Process spawn(const Launch& launch, const ChildEnds& ends, sys::FdView cgroup) {
  sys::SpawnOptions options = options_of(launch, ends, cgroup);
  int error = 0;
  if (auto process = try_spawn(launch, options, error)) return std::move(*process);

  if (error == ENOENT && is_bash(launch.config.cmd)) {
    options.program = "/bin/sh";
    options.argv.front() = "sh";  // by which busybox knows what it is
    error = 0;
    if (auto process = try_spawn(launch, options, error)) return std::move(*process);
    options.argv.front() = launch.config.cmd;
  }
  if (error == ENOEXEC) {
    options.program = "/bin/sh";
    const std::string script = find_program(launch.config.cmd, launch.env);
    options.argv.front() = script;
    options.argv.insert(options.argv.begin(), "sh");
  } else {
    const Failure failure = failure_of(launch.config.cmd, error);
    options.program = "/bin/sh";
    options.argv = {"sh", "-c",         "printf '%s\\n' \"$1\" >&2; exit \"$2\"",
                    "sh", failure.text, std::to_string(failure.exit_code)};
    options.env.clear();  // it may be what was too long
    try {
      return sys::Process::spawn(options);
    } catch (const sys::SpawnError& failed) {
      if (failed.step() != sys::SpawnError::Step::exec) throw;
    }
    throw_error(ErrorCode::failed_precondition, "{} (and there is no /bin/sh to end with {})", failure.text,
                failure.exit_code);
  }
  return sys::Process::spawn(options);
}

}  // namespace wrenn::envd::process
