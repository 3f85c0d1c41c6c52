// Driver: owns one sandbox. A coroutine that reads a bounded mailbox of commands, asks admission.h what to do
// with each, and runs at most one operation of the Assembly at a time. Everything that happens to a sandbox
// comes through here: what clients ask, the end of its VMM, the end of its time-out.
//
//   ask(command) ─→ mailbox ─→ run(): admit ─┬─ accept ─→ operate() ─→ "ended" ─→ mailbox
//                     ↑                      ├─ merge: one more waits for the operation's answer
//   watch_end() ──────┤                      ├─ wait: kept until the operation has ended
//   reaper (TTL) ─────┘                      └─ done, ignore, refuse: answered at once
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/metric_rings.h"
#include "agent/sandbox/activity.h"
#include "agent/sandbox/admission.h"
#include "agent/sandbox/assembly.h"
#include "agent/sandbox/disk_watch.h"
#include "agent/sandbox/gate.h"
#include "api/agent.h"
#include "core/async/mailbox.h"
#include "core/async/scope.h"

namespace wrenn::agent::sandbox {

class Driver {
 public:
  // A new sandbox, whose create begins with run(); or one that was found at the agent's start (`running`,
  // `paused`, `error`). `host` outlives this.
  // `origin`: what it is made from (Assembly::create).
  static std::shared_ptr<Driver> create(Host& host, Record record, templates::TemplateImage image,
                                        std::shared_ptr<const Origin> origin = nullptr);
  static std::shared_ptr<Driver> recovered(Host& host, std::unique_ptr<Assembly> assembly);
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Until the sandbox is gone (then gone() is true), or close() was called: then operations under way are
  // cancelled and undone, and what runs goes on running without us.
  Task<> run();
  void close() { mailbox_.close(); }

  struct FreezeOrder {
    std::string root, id;  // where its result may be committed to
    std::optional<Frozen> frozen;
  };
  struct Options {
    std::optional<std::int64_t> timeout_sec;  // resume
    std::string reason;                       // pause
    std::shared_ptr<FreezeOrder> freeze;      // freeze: filled in
    std::string checkpoint_id;                // rollback
  };
  // Waits for the command's end. Throws what the operation threw, Error(failed_precondition | already_exists)
  // when refused, Error(resource_exhausted) when too many wait, Error(aborted) when a destroy came in
  // between. A caller that is cancelled stops waiting; the operation goes on.
  Task<> ask(Command command, Options options);
  // The answer of the create that run() began.
  Task<> created();
  // A clone that is one of several is introduced only when let_in() is called, as all run: the work of its
  // first moments would hold up the others' start. Before run().
  void keep_out() noexcept { kept_out_ = true; }
  void let_in();

  // For the reaper: asks for an automatic pause if the time has come.
  void check_idle(SteadyTime now);
  // Throws Error(failed_precondition) unless running.
  void ping();
  // Into the running guest; waits until a new clone has been introduced. Throws Error(failed_precondition)
  // unless running, Error(unavailable) while it is being paused or destroyed.
  Task<std::unique_ptr<Passage>> enter();

  api::agent::SandboxInfo info() const;
  std::vector<MetricPoint> metrics(std::int64_t range_seconds) const;
  const Record& record() const noexcept { return assembly_->record(); }
  const std::string& id() const noexcept { return assembly_->record().sandbox_id; }
  SandboxState state() const noexcept { return state_; }
  bool gone() const noexcept { return gone_; }
  // False for one whose record was unreadable: nothing is known of its kernel objects.
  bool has_record() const noexcept { return assembly_->record().created_at_us != 0; }
  std::optional<int> slot() const noexcept { return assembly_->record().slot; }

 private:
  struct Answer {
    explicit Answer(async::Executor executor) : changed(std::move(executor)) {}
    async::Event changed;
    bool ready = false;
    std::exception_ptr error;
  };
  struct Message {
    bool operation_ended = false;
    Command command = Command::create;
    std::uint64_t serial = 0;  // of the operation that ended, of the machine that exited
    Options options;
    std::shared_ptr<Answer> answer;  // null: nobody waits
  };
  using Answers = std::vector<std::shared_ptr<Answer>>;

  Driver(Host& host, std::unique_ptr<Assembly> assembly, SandboxState state);
  Task<> main();
  Task<> handle(Message message);
  Task<> interrupt();
  void begin(Message message);
  Task<> operate(Message message);
  Task<> perform(const Message& message);
  Task<> pause(std::string reason);
  Task<> finish();
  void enter_running();
  void leave_running(const std::string& why);
  Task<> watch_end(std::shared_ptr<vmm::Machine> machine, std::uint64_t serial);
  Task<> watch_health(std::shared_ptr<vmm::Machine> machine);
  Task<> watch_chain(std::shared_ptr<vmm::Machine> machine);
  Task<> introduce(std::uint64_t serial);
  DiskWatch disk_watch(std::uint64_t serial);
  void give_up(std::uint64_t serial, std::string why);
  Task<> wait_introduced();
  void check_runs() const;
  Task<> rollback(std::string checkpoint_id);
  Task<> sample(std::shared_ptr<vmm::Machine> machine, std::shared_ptr<Guest> guest);
  Task<> wait(std::shared_ptr<Answer> answer);
  static void give(const std::shared_ptr<Answer>& answer, std::exception_ptr error);

  Host& host_;
  std::unique_ptr<Assembly> assembly_;
  SandboxState state_;
  bool gone_ = false;
  bool kept_out_ = false;
  async::Mailbox<Message> mailbox_;
  std::deque<Message> waiting_;

  // The operation under way.
  std::optional<Command> operation_;
  std::uint64_t operation_serial_ = 0;
  SteadyTime operation_start_{};
  Answers answers_;
  std::exception_ptr outcome_;
  templates::TemplateImage image_;  // of the create
  std::shared_ptr<const Origin> origin_;
  std::shared_ptr<Answer> created_;
  async::Scope operations_;

  // While running.
  std::uint64_t machine_serial_ = 0;
  std::string machine_end_;
  std::string stands_still_;  // why its machine does; empty when it runs
  async::Event introduced_;   // or failed, or does not run any more
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<Activity> activity_;
  async::Scope background_;
  MetricRings rings_;
};

}  // namespace wrenn::agent::sandbox
