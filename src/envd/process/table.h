// Table: the processes of clients, alive and lately ended, found by pid or tag.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/async/offload.h"
#include "core/async/scope.h"
#include "envd/process/process.h"

namespace wrenn::envd::process {

class Table {
 public:
  // `threads` and `cgroups` must outlive this.
  Table(async::Executor executor, async::ThreadPool& threads, Cgroups& cgroups);
  // stop() must have completed.
  ~Table() = default;

  // Starts a process with its first subscriber, which sees the output from the first byte. `lifetime`: it is
  // killed after this. Throws Error(resource_exhausted) at the limit, Error(unavailable) once stopped, and
  // what Process() and spawn() throw.
  Task<std::unique_ptr<Subscription>> start(Launch launch, std::optional<SteadyClock::duration> lifetime);

  // The running process of that pid, or the last started with that tag. Throw Error(not_found), and
  // Error(invalid_argument) unless exactly one of pid and tag is set.
  std::shared_ptr<Process> running(const api::envd::ProcessSelector& selector);
  // The same, or one that ended within limits::kFinishedKeep: without an object, unless its output is kept.
  struct Found {
    std::uint32_t pid = 0;
    std::shared_ptr<Process> process;  // always while it runs
    sys::ExitStatus status;            // if not
    std::uint64_t output_bytes = 0;
  };
  Found any(const api::envd::ProcessSelector& selector);
  const std::vector<std::shared_ptr<Process>>& all_running() const noexcept { return running_; }

  // `started` is called after every start.
  void on_start(std::function<void()> started) { started_ = std::move(started); }

  // Kills all and waits for their ends, limits::kKillWait at most.
  Task<> stop();

 private:
  struct Finished {
    Found found;
    std::optional<std::string> tag;
    SteadyTime since;
  };
  std::size_t replay_share() const noexcept;
  Task<> run(std::shared_ptr<Process> process);
  Task<> kill_at(std::shared_ptr<Process> process, SteadyTime time);
  void forget_old();
  void refuse_if_stopping() const;

  async::Executor executor_;
  async::ThreadPool& threads_;
  Cgroups& cgroups_;
  std::vector<char> scratch_;
  std::function<void()> started_;
  std::size_t starting_ = 0;
  bool stopping_ = false;
  std::vector<std::shared_ptr<Process>> running_;
  std::deque<Finished> finished_;
  async::Scope scope_;
};

}  // namespace wrenn::envd::process
