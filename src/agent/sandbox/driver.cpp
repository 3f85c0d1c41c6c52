#include "agent/sandbox/driver.h"

#include "agent/limits.h"
#include "agent/sandbox/changes.h"
#include "core/async/timeout.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/log/log.h"

namespace wrenn::agent::sandbox {

// Room in the mailbox beyond limits::kMailbox for what we tell ourselves: the end of an operation, the end of
// a machine, and one automatic pause.
static constexpr std::size_t kOwnMessages = 8;

Driver::Driver(Host& host, std::unique_ptr<Assembly> assembly, SandboxState state)
    : host_(host),
      assembly_(std::move(assembly)),
      state_(state),
      mailbox_(host.executor, limits::kMailbox + kOwnMessages),
      operations_(host.executor, "operation of sandbox " + assembly_->record().sandbox_id),
      introduced_(host.executor),
      activity_(std::make_shared<Activity>(SteadyClock::now(),
                                           std::chrono::seconds(assembly_->record().timeout_sec))),
      background_(host.executor, "watch sandbox " + assembly_->record().sandbox_id) {}

std::shared_ptr<Driver> Driver::create(Host& host, Record record, templates::TemplateImage image,
                                       std::shared_ptr<const Origin> origin) {
  record.state = SandboxState::starting;
  auto assembly = std::make_unique<Assembly>(host, std::move(record));
  std::shared_ptr<Driver> driver(new Driver(host, std::move(assembly), SandboxState::starting));
  driver->image_ = std::move(image);
  driver->origin_ = std::move(origin);
  driver->created_ = std::make_shared<Answer>(host.executor);
  return driver;
}

std::shared_ptr<Driver> Driver::recovered(Host& host, std::unique_ptr<Assembly> assembly) {
  const SandboxState state = assembly->record().state;
  std::shared_ptr<Driver> driver(new Driver(host, std::move(assembly), state));
  if (state == SandboxState::running) driver->enter_running();
  return driver;
}

// --- the loop

Task<> Driver::run() {
  std::exception_ptr error;
  try {
    co_await main();
  } catch (...) {
    error = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  mailbox_.close();
  operations_.cancel();
  co_await operations_.join();
  leave_running("the agent ends");
  co_await background_.join();

  const auto ended =
      std::make_exception_ptr(gone_ ? Error(ErrorCode::not_found, "the sandbox does not exist any more")
                                    : Error(ErrorCode::unavailable, "the agent is ending"));
  for (const auto& answer : answers_)
    give(answer, outcome_ && !async::is_cancellation(outcome_) ? outcome_ : ended);
  for (const Message& message : waiting_) give(message.answer, ended);
  while (auto message = mailbox_.try_pop()) give(message->answer, ended);
  if (error && !async::is_cancellation(error)) std::rethrow_exception(error);
}

Task<> Driver::main() {
  if (state_ == SandboxState::starting) {
    Message create;
    create.command = Command::create;
    create.answer = created_;
    begin(std::move(create));
  }
  while (!gone_) {
    auto message = co_await mailbox_.pop();
    if (!message) break;
    if (!message->operation_ended) {
      co_await handle(std::move(*message));
    } else if (message->serial == operation_serial_ && operation_) {
      co_await finish();
    }
  }
}

Task<> Driver::handle(Message message) {
  if (message.command == Command::vmm_exited && message.serial != machine_serial_)
    co_return;  // of an earlier machine
  if (message.command == Command::ttl_due && !activity_->is_due(SteadyClock::now())) co_return;
  const Admission admission = admit(state_, operation_, message.command);
  switch (admission.verdict) {
    case Verdict::accept:
      if (operation_) co_await interrupt();
      if (gone_) {  // the create that was interrupted has undone itself
        give(message.answer, nullptr);
      } else {
        begin(std::move(message));
      }
      break;
    case Verdict::merge:
      answers_.push_back(message.answer);
      break;
    case Verdict::wait:
      waiting_.push_back(std::move(message));
      break;
    case Verdict::done:
      give(message.answer, nullptr);
      break;
    case Verdict::ignore:
      break;
    case Verdict::refuse: {
      std::string text(to_string(admission.refusal));
      if (admission.refusal == Refusal::failed) text += ": " + assembly_->record().reason;
      give(message.answer, std::make_exception_ptr(Error(error_code(admission.refusal), std::move(text))));
      break;
    }
  }
}

// A destroy comes into an operation: the operation is cancelled, and has undone itself when this returns.
Task<> Driver::interrupt() {
  state_ = SandboxState::stopping;
  if (gate_) gate_->cut("the sandbox is being destroyed");
  operations_.cancel();
  co_await operations_.join();
  const auto aborted =
      std::make_exception_ptr(Error(ErrorCode::aborted, "the sandbox was destroyed meanwhile"));
  for (const auto& answer : answers_) give(answer, outcome_ ? aborted : nullptr);
  answers_.clear();
  operation_.reset();
  gone_ = assembly_->gone();
}

void Driver::begin(Message message) {
  operation_ = message.command;
  ++operation_serial_;
  operation_start_ = SteadyClock::now();
  outcome_ = nullptr;
  answers_ = {message.answer};
  switch (message.command) {
    case Command::create:
      state_ = SandboxState::starting;
      break;
    case Command::pause:
    case Command::ttl_due:
      state_ = SandboxState::pausing;
      break;
    case Command::resume:
    case Command::rollback:
      state_ = SandboxState::resuming;
      break;
    case Command::freeze:
    case Command::merged:
      break;
    case Command::destroy:
      state_ = SandboxState::stopping;
      leave_running("the sandbox is being destroyed");
      break;
    case Command::vmm_exited:
      state_ = SandboxState::error;
      leave_running("the sandbox has ended: " + machine_end_);
      host_.changes->note();  // what it leaves on the host is freed meanwhile
      break;
  }
  operations_.spawn(operate(std::move(message)));
}

Task<> Driver::operate(Message message) {
  try {
    co_await perform(message);
  } catch (...) {
    outcome_ = std::current_exception();
  }
  Message ended;
  ended.operation_ended = true;
  ended.serial = operation_serial_;
  mailbox_.try_push(std::move(ended));
}

Task<> Driver::perform(const Message& message) {
  switch (message.command) {
    case Command::create:
      co_await assembly_->create(image_, std::exchange(origin_, nullptr));
      break;
    case Command::pause:
      co_await pause(message.options.reason);
      break;
    case Command::ttl_due:
      co_await pause("ttl_expired");
      break;
    case Command::resume:
      co_await assembly_->resume(message.options.timeout_sec);
      break;
    case Command::freeze:
      if (state_ == SandboxState::running) co_await wait_introduced();
      message.options.freeze->frozen.emplace(
          co_await assembly_->freeze(message.options.freeze->root, message.options.freeze->id));
      break;
    case Command::merged:
      co_await assembly_->settle_merge();
      break;
    case Command::rollback:
      co_await rollback(message.options.checkpoint_id);
      break;
    case Command::destroy:
      co_await assembly_->destroy();
      break;
    case Command::vmm_exited:
      co_await assembly_->fail(machine_end_);
      break;
  }
}

Task<> Driver::rollback(std::string checkpoint_id) {
  snapshot::Snapshot checkpoint = co_await assembly_->find_checkpoint(std::move(checkpoint_id));
  leave_running("the sandbox is being rolled back");
  co_await background_.join();
  co_await assembly_->rollback(std::move(checkpoint));
}

Task<> Driver::pause(std::string reason) {
  co_await wait_introduced();
  gate_->close();
  background_.cancel();  // the sampler must not talk to a guest that is about to stand still
  co_await background_.join();
  const bool empty = co_await gate_->wait_empty(limits::kDrain);
  if (!empty) {
    gate_->cut("the sandbox is being paused");
    co_await gate_->wait_empty(limits::kDrain);
  }
  assembly_->guest()->client().drop_idle();
  // Nobody waits for the machine to be taken down; what is asked meanwhile waits (handle()).
  std::function<void()> on_paused = [this] {
    state_ = SandboxState::paused;
    for (const auto& answer : std::exchange(answers_, {})) give(answer, nullptr);
  };
  auto pausing = assembly_->pause(std::move(reason), std::move(on_paused));
  co_await async::with_timeout(limits::kPause, "pause", std::move(pausing));
}

// The operation under way has ended by itself.
Task<> Driver::finish() {
  const Command command = *std::exchange(operation_, std::nullopt);
  const auto took = SteadyClock::now() - operation_start_;
  const char* outcome = !outcome_ ? "success" : async::is_cancellation(outcome_) ? "canceled" : "error";
  host_.figures.operation(to_string(command), outcome, took);
  const std::string failure = outcome_ ? describe(outcome_) : std::string();
  const double ms = std::chrono::duration<double, std::milli>(took).count();
  if (outcome_) {
    log::warn("operation failed",
              {{"sandbox_id", id()}, {"operation", to_string(command)}, {"ms", ms}, {"error", failure}});
  } else {
    log::info("operation done", {{"sandbox_id", id()}, {"operation", to_string(command)}, {"ms", ms}});
  }

  gone_ = assembly_->gone();
  state_ = assembly_->record().state;
  if (command == Command::merged) {
    // Nobody has used it.
  } else if (command == Command::freeze) {
    activity_->touch(SteadyClock::now());
  } else if (!gone_ && state_ == SandboxState::running) {
    if (command == Command::resume && !outcome_)
      activity_->set_timeout(std::chrono::seconds(assembly_->record().timeout_sec), SteadyClock::now());
    if (command == Command::ttl_due) {
      activity_->defer(SteadyClock::now());
      host_.figures.ttl_pause_failed();
    } else {
      activity_->touch(SteadyClock::now());
    }
    // A pause that failed has cancelled it; what failed before it touched anything has not.
    if (!gate_ || !gate_->is_open()) {
      co_await background_.join();
      enter_running();
    }
  } else {
    leave_running("the sandbox does not run any more");
    co_await background_.join();
    activity_->reset_deferral();
  }

  for (const auto& answer : std::exchange(answers_, {})) give(answer, outcome_);
  // Of everything else somebody has been told just now.
  if (command == Command::vmm_exited || command == Command::ttl_due) host_.changes->note();
  auto again = std::exchange(waiting_, {});
  while (!again.empty() && !gone_) {
    Message message = std::move(again.front());
    again.pop_front();
    co_await handle(std::move(message));
  }
  for (const Message& message : again) waiting_.push_back(message);
}

// --- who uses it

void Driver::check_idle(SteadyTime now) {
  if (state_ != SandboxState::running || !activity_->is_due(now) || mailbox_.size() > 0) return;
  Message message;
  message.command = Command::ttl_due;
  mailbox_.try_push(std::move(message));
}

static std::string not_running(SandboxState state, const std::string& reason) {
  return fmt::format("the sandbox is not running (status: {}{}{})", to_string(state),
                     reason.empty() ? "" : "; ", reason);
}

void Driver::ping() {
  if (state_ != SandboxState::running)
    throw Error(ErrorCode::failed_precondition, not_running(state_, assembly_->record().reason));
  activity_->touch(SteadyClock::now());
}

void Driver::check_runs() const {
  if (state_ == SandboxState::pausing) throw Error(ErrorCode::unavailable, "the sandbox is being paused");
  if (state_ == SandboxState::stopping) throw Error(ErrorCode::unavailable, "the sandbox is being destroyed");
  if (state_ != SandboxState::running || !gate_ || !gate_->is_open())
    throw Error(ErrorCode::failed_precondition, not_running(state_, assembly_->record().reason));
}

Task<std::unique_ptr<Passage>> Driver::enter() {
  check_runs();
  if (!assembly_->record().introduced) {
    co_await wait_introduced();
    check_runs();
  }
  co_return std::make_unique<Passage>(gate_, activity_, assembly_->guest());
}

// --- questions and answers

Task<> Driver::ask(Command command, Options options) {
  auto answer = std::make_shared<Answer>(host_.executor);
  Message message;
  message.command = command;
  message.options = std::move(options);
  message.answer = answer;
  if (mailbox_.size() >= limits::kMailbox)
    throw_error(ErrorCode::resource_exhausted, "{} commands wait for this sandbox already", limits::kMailbox);
  if (!mailbox_.try_push(std::move(message)))
    throw Error(gone_ ? ErrorCode::not_found : ErrorCode::unavailable,
                gone_ ? "the sandbox does not exist any more" : "the agent is ending");
  co_await wait(std::move(answer));
}

Task<> Driver::created() {
  co_await wait(created_);
}

Task<> Driver::wait(std::shared_ptr<Answer> answer) {
  while (!answer->ready) co_await answer->changed.wait();
  if (answer->error) std::rethrow_exception(answer->error);
}

void Driver::give(const std::shared_ptr<Answer>& answer, std::exception_ptr error) {
  if (!answer || answer->ready) return;
  answer->ready = true;
  answer->error = error;
  answer->changed.notify_all();
}

api::agent::SandboxInfo Driver::info() const {
  const Record& record = assembly_->record();
  const auto idle = SteadyClock::now() - activity_->last();
  api::agent::SandboxInfo info;
  info.sandbox_id = record.sandbox_id;
  info.status = state_;
  info.team_id = record.team_id;
  info.template_id = record.template_id;
  info.vcpus = record.vcpus;
  info.memory_mb = record.memory_mb;
  if (state_ == SandboxState::running && assembly_->guest())
    info.host_ip = assembly_->guest()->address().host();
  info.created_at_us = record.created_at_us;
  info.last_active_at_us = now().us - std::chrono::duration_cast<std::chrono::microseconds>(idle).count();
  info.timeout_sec = record.timeout_sec;
  // What is written down about a machine that has just ended comes when its rests are gone.
  info.reason = operation_ == Command::vmm_exited ? machine_end_
                : stands_still_.empty()           ? record.reason
                                                  : stands_still_;
  info.access_token = record.access_token;
  info.metadata = record.metadata;
  info.metadata["agent_version"] = host_.agent_version;
  if (!record.kernel_version.empty()) info.metadata["kernel_version"] = record.kernel_version;
  if (!record.envd_version.empty()) info.metadata["envd_version"] = record.envd_version;
  if (record.machine) {  // "qemu 7.2.22 machine 3"
    const auto words = split(record.machine->vmm_version, ' ');
    if (words.size() >= 2) info.metadata[std::string(words[0]) + "_version"] = words[1];
  }
  return info;
}

std::vector<MetricPoint> Driver::metrics(std::int64_t range_seconds) const {
  return rings_.points(range_seconds, now().seconds());
}

}  // namespace wrenn::agent::sandbox
