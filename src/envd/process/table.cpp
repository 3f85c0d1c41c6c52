#include "envd/process/table.h"

#include <algorithm>
#include <csignal>

#include "core/async/timeout.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "envd/limits.h"

namespace wrenn::envd::process {

namespace {

void check(const api::envd::ProcessSelector& selector) {
  if (selector.pid.has_value() == selector.tag.has_value())
    throw_error(ErrorCode::invalid_argument, "process: exactly one of pid and tag must be given");
}

bool matches(const api::envd::ProcessSelector& selector, std::uint32_t pid,
             const std::optional<std::string>& tag) {
  return selector.pid ? pid == *selector.pid : tag == selector.tag;
}

bool matches(const api::envd::ProcessSelector& selector, const Process& process) {
  return matches(selector, process.pid(), process.launch().tag);
}

[[noreturn]] void throw_not_found(const api::envd::ProcessSelector& selector) {
  if (selector.pid) throw_error(ErrorCode::not_found, "process with pid {} not found", *selector.pid);
  throw_error(ErrorCode::not_found, "process with tag {} not found", sanitize_utf8(*selector.tag));
}

// A child that nobody will look after: dead and reaped when this returns, but for one that the kernel cannot
// kill.
void end_now(sys::Process& child) {
  child.signal_group(SIGKILL);
  child.wait(limits::kKillNowWait);
}

struct Spawned {
  sys::Process child;
  Cgroups::Leaf cgroup;
};

}  // namespace

Table::Table(async::Executor executor, async::ThreadPool& threads, Cgroups& cgroups)
    : executor_(executor),
      threads_(threads),
      cgroups_(cgroups),
      scratch_(limits::kPipeChunkBytes),
      scope_(executor, "processes") {}

Task<std::unique_ptr<Subscription>> Table::start(Launch launch,
                                                 std::optional<SteadyClock::duration> lifetime) {
  forget_old();
  refuse_if_stopping();
  if (running_.size() + starting_ >= limits::kProcesses)
    throw_error(ErrorCode::resource_exhausted, "{} processes are running: at most {} can; end some first",
                running_.size(), limits::kProcesses);
  ++starting_;
  const ScopeGuard started([this] { --starting_; });
  const auto deadline = lifetime ? std::optional(SteadyClock::now() + *lifetime) : std::nullopt;

  // The log and its first reader come before the process: nothing it prints can be missed.
  const auto process =
      std::make_shared<Process>(executor_, std::move(launch), std::span<char>(scratch_), replay_share());
  auto subscription = std::make_unique<Subscription>(executor_, process);

  auto work = [this, created = process.get()] {
    const auto kind = created->launch().terminal ? Cgroups::Kind::terminal : Cgroups::Kind::command;
    Cgroups::Leaf cgroup = cgroups_.create(kind);
    sys::Process child = spawn(created->launch(), created->child_ends(), cgroup.fd());
    return Spawned{std::move(child), std::move(cgroup)};
  };
  Spawned spawned = co_await async::offload(threads_, std::move(work));
  try {
    refuse_if_stopping();
    process->begin(std::move(spawned.child), std::move(spawned.cgroup));
  } catch (const Error&) {
    end_now(spawned.child);
    throw;
  }
  running_.push_back(process);
  scope_.spawn(run(process));
  if (deadline) scope_.spawn(kill_at(process, *deadline));
  if (started_) started_();
  co_return subscription;
}

// What a new process may keep of its output when all that run share one budget.
std::size_t Table::replay_share() const noexcept {
  return std::clamp(limits::kReplayTotalBytes / (running_.size() + starting_), limits::kReplayBytesMin,
                    limits::kReplayBytes);
}

void Table::refuse_if_stopping() const {
  if (stopping_) throw_error(ErrorCode::unavailable, "envd is stopping: no process can be started");
}

Task<> Table::run(std::shared_ptr<Process> process) {
  co_await process->run(cgroups_);
  std::erase(running_, process);
  Finished finished;
  finished.found = {process->pid(), process, *process->end(), process->log().end()};
  finished.tag = process->launch().tag;
  finished.since = SteadyClock::now();
  finished_.push_back(std::move(finished));
  if (finished_.size() > limits::kFinishedOutputs)
    finished_[finished_.size() - 1 - limits::kFinishedOutputs].found.process.reset();
  forget_old();
}

Task<> Table::kill_at(std::shared_ptr<Process> process, SteadyTime time) {
  co_await process->kill_at(time);
}

void Table::forget_old() {
  const auto old = SteadyClock::now() - limits::kFinishedKeep;
  while (!finished_.empty() &&
         (finished_.size() > limits::kFinishedProcesses || finished_.front().since < old))
    finished_.pop_front();
}

std::shared_ptr<Process> Table::running(const api::envd::ProcessSelector& selector) {
  check(selector);
  for (auto process = running_.rbegin(); process != running_.rend(); ++process)
    if (matches(selector, **process)) return *process;
  throw_not_found(selector);
}

Table::Found Table::any(const api::envd::ProcessSelector& selector) {
  check(selector);
  forget_old();
  for (auto process = running_.rbegin(); process != running_.rend(); ++process)
    if (matches(selector, **process)) return {(*process)->pid(), *process, {}, 0};
  for (auto finished = finished_.rbegin(); finished != finished_.rend(); ++finished)
    if (matches(selector, finished->found.pid, finished->tag)) return finished->found;
  throw_not_found(selector);
}

Task<> Table::stop() {
  stopping_ = true;
  const auto processes = running_;
  for (const auto& process : processes) {
    try {
      process->signal(SIGKILL);
    } catch (const Error& error) {
      log::warn("cannot kill a process", {{"pid", process->pid()}, {"error", error.what()}});
    }
  }
  bool late = false;
  try {
    auto all = scope_.join();
    co_await async::with_timeout(limits::kKillWait, "processes", std::move(all));
  } catch (const Error&) {
    late = true;  // join() has cancelled and awaited them
  }
  if (late) log::warn("processes did not end after SIGKILL", {{"count", running_.size()}});
}

}  // namespace wrenn::envd::process
