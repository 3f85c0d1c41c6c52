#include "agent/sandbox/admission.h"

namespace wrenn::agent::sandbox {

namespace {

constexpr Admission kAccept{Verdict::accept};
constexpr Admission kMerge{Verdict::merge};
constexpr Admission kDone{Verdict::done};
constexpr Admission kWait{Verdict::wait};
constexpr Admission kIgnore{Verdict::ignore};
constexpr Admission kExists{Verdict::refuse, Refusal::exists};
constexpr Admission kFailed{Verdict::refuse, Refusal::failed};
constexpr Admission kGoing{Verdict::refuse, Refusal::being_destroyed};

// One row per state, in the order of kCommands. An end of the VMM that is seen while a pause runs waits for
// the pause: after a success it is the pause's own doing (and is ignored in `paused`), after a failure it is
// news. During starting and resuming the operation itself watches its VMM.
struct Row {
  Admission create, pause, resume, destroy, freeze, rollback, vmm_exited, merged, ttl_due;
};
constexpr Row kStarting{kMerge, kWait, kWait, kAccept, kWait, kWait, kIgnore, kIgnore, kIgnore};
constexpr Row kRunning{kDone, kAccept, kDone, kAccept, kAccept, kAccept, kAccept, kAccept, kAccept};
constexpr Row kPausing{kExists, kMerge, kWait, kAccept, kWait, kWait, kWait, kIgnore, kIgnore};
constexpr Row kPaused{kExists, kDone, kAccept, kAccept, kAccept, kAccept, kIgnore, kIgnore, kIgnore};
constexpr Row kResuming{kExists, kWait, kMerge, kAccept, kWait, kWait, kIgnore, kIgnore, kIgnore};
constexpr Row kStopping{kGoing, kGoing, kGoing, kMerge, kGoing, kGoing, kIgnore, kIgnore, kIgnore};
// What has failed can still go back to a checkpoint.
constexpr Row kError{kExists, kFailed, kFailed, kAccept, kFailed, kAccept, kIgnore, kIgnore, kIgnore};

const Row& row(SandboxState state) noexcept {
  switch (state) {
    case SandboxState::starting:
      return kStarting;
    case SandboxState::running:
      return kRunning;
    case SandboxState::pausing:
      return kPausing;
    case SandboxState::paused:
      return kPaused;
    case SandboxState::resuming:
      return kResuming;
    case SandboxState::stopping:
      return kStopping;
    case SandboxState::error:
    case SandboxState::pending:
    case SandboxState::missing:
    case SandboxState::stopped:
      return kError;
  }
  return kError;
}

Admission answer(const Row& answers, Command command) noexcept {
  switch (command) {
    case Command::create:
      return answers.create;
    case Command::pause:
      return answers.pause;
    case Command::resume:
      return answers.resume;
    case Command::destroy:
      return answers.destroy;
    case Command::freeze:
      return answers.freeze;
    case Command::rollback:
      return answers.rollback;
    case Command::vmm_exited:
      return answers.vmm_exited;
    case Command::merged:
      return answers.merged;
    case Command::ttl_due:
      return answers.ttl_due;
  }
  return kIgnore;
}

}  // namespace

Admission admit(SandboxState state, std::optional<Command> operation, Command command) noexcept {
  const bool comes_later = operation && command != Command::destroy;
  if (comes_later && keeps_state(*operation)) return command == Command::ttl_due ? kIgnore : kWait;
  const Admission found = answer(row(state), command);
  // A rollback of what has just failed, a resume of what has just been paused: the rests are still being
  // freed.
  return comes_later && found == kAccept ? kWait : found;
}

std::string_view to_string(Command command) noexcept {
  switch (command) {
    case Command::create:
      return "create";
    case Command::pause:
      return "pause";
    case Command::resume:
      return "resume";
    case Command::destroy:
      return "destroy";
    case Command::freeze:
      return "freeze";
    case Command::rollback:
      return "rollback";
    case Command::vmm_exited:
      return "vmm_exited";
    case Command::merged:
      return "merged";
    case Command::ttl_due:
      return "ttl_due";
  }
  return "?";
}

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::accept:
      return "accept";
    case Verdict::merge:
      return "merge";
    case Verdict::done:
      return "done";
    case Verdict::wait:
      return "wait";
    case Verdict::ignore:
      return "ignore";
    case Verdict::refuse:
      return "refuse";
  }
  return "?";
}

std::string_view to_string(Refusal refusal) noexcept {
  switch (refusal) {
    case Refusal::none:
      return "not refused";
    case Refusal::exists:
      return "a sandbox with this id exists already; destroy it first or use another id";
    case Refusal::failed:
      return "the sandbox has failed: destroy it, or roll it back to a checkpoint";
    case Refusal::being_destroyed:
      return "the sandbox is being destroyed";
  }
  return "?";
}

ErrorCode error_code(Refusal refusal) noexcept {
  return refusal == Refusal::exists ? ErrorCode::already_exists : ErrorCode::failed_precondition;
}

}  // namespace wrenn::agent::sandbox
