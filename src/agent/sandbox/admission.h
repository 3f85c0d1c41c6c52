// Which command a sandbox accepts in which state. Pure: the driver asks, then acts.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "model/sandbox_state.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

enum class Command {
  create,
  pause,
  resume,
  destroy,
  freeze,      // its state of now, for a fork, a checkpoint or a template
  rollback,    // to a checkpoint
  vmm_exited,  // the kernel says that the VMM process is gone
  merged,      // the VMM has put the files of its disk together
  ttl_due,     // nobody has used the sandbox for its time-out
};
inline constexpr Command kCommands[] = {Command::create,     Command::pause,  Command::resume,
                                        Command::destroy,    Command::freeze, Command::rollback,
                                        Command::vmm_exited, Command::merged, Command::ttl_due};

enum class Verdict {
  accept,  // start the operation; if another is under way, it is cancelled first (only destroy gets that)
  merge,   // the same operation is under way: its answer is the answer
  done,    // the sandbox is already where the command leads
  wait,    // ask again when the operation under way has ended
  ignore,  // nothing to do and nobody waits for an answer
  refuse,
};

enum class Refusal {
  none,
  exists,  // create of an id that is in use
  failed,  // the sandbox is in state error: only destroy helps
  being_destroyed,
};

struct Admission {
  Verdict verdict;
  Refusal refusal = Refusal::none;
  bool operator==(const Admission&) const = default;
};

// Whether a sandbox keeps its state while `operation` is under way, so that the state does not tell of it.
constexpr bool keeps_state(Command operation) noexcept {
  return operation == Command::freeze || operation == Command::merged;
}

// Of `command`, in `state`, while `operation` is under way (absent: none is).
//
// Total: every state and command has an answer. `pending`, `missing` and `stopped` never occur on an agent;
// they are treated as `error`.
Admission admit(SandboxState state, std::optional<Command> operation, Command command) noexcept;

std::string_view to_string(Command command) noexcept;
std::string_view to_string(Verdict verdict) noexcept;
std::string_view to_string(Refusal refusal) noexcept;
ErrorCode error_code(Refusal refusal) noexcept;

}  // namespace wrenn::agent::sandbox
