#include "agent/vmm/qemu_machine.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "agent/vmm/limits.h"
#include "agent/vmm/qemu_arguments.h"
#include "agent/vmm/qemu_disk.h"
#include "core/async/descriptor.h"
#include "core/async/timeout.h"
#include "core/base/clock.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/file.h"
#include "linux/procfs.h"

// Two coroutines of the driver's scope accompany a machine: one waits on the pidfd for the end of the
// process, one (in Qmp) reads the monitor. They hold the State, not the QemuMachine, so that a machine may be
// dropped at any time; the process then lives on without us.
//
// Ends: the guest powers off or resets → QEMU stops the machine and says SHUTDOWN → we read the console and
// kill the process → the pidfd tells → `end` is set and every waiter wakes. A process that dies by itself
// takes the last two steps.

namespace wrenn::agent::vmm {

namespace {

constexpr auto kConsoleTimeout = std::chrono::milliseconds(1000);
constexpr auto kLoadPoll = std::chrono::milliseconds(1);
constexpr int kStateFdset = 100;

bool has_busy_thread(std::int64_t pid) {
  for (const std::string& name :
       sys::try_list_directory(fmt::format("/proc/{}/task", pid)).value_or(std::vector<std::string>())) {
    const auto tid = parse_int<pid_t>(name);
    const auto stat = tid ? sys::read_proc_stat(*tid) : std::nullopt;
    if (stat && (stat->state == 'R' || stat->state == 'D')) return true;
  }
  return false;
}

}  // namespace

struct QemuMachine::State {
  State(async::Scope& in_scope, MachineRecord of, sys::Process running, sys::Fd printed)
      : scope(in_scope),
        record(std::move(of)),
        process(std::move(running)),
        messages(std::move(printed)),
        changed(in_scope.executor()) {}

  // What QEMU said on its standard error, shortened and fit for a message.
  std::string said() const {
    if (!messages.valid()) return {};
    std::string text(limits::kErrorBytes, '\0');
    const ssize_t got = ::pread(messages.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    text.resize(std::min(text.find('\0'), text.size()));  // the file was made long in advance
    return sanitize_utf8(trim(text));
  }

  // Throws when the process is gone.
  const std::shared_ptr<Qmp>& monitor() const {
    if (end) throw_error(ErrorCode::unavailable, "{}", describe(*end));
    if (!qmp) throw_error(ErrorCode::unavailable, "the machine monitor was not reached");
    return qmp;
  }

  async::Scope& scope;
  MachineRecord record;
  sys::Process process;
  sys::Fd messages;
  std::shared_ptr<Qmp> qmp;
  async::Event changed;
  bool stopping = false;                   // by stop()
  std::optional<MachineEnd::Cause> cause;  // the guest's own doing, or a hang
  std::string how;                         // it hung
  std::string console;                     // the last of what was read
  std::optional<MachineEnd> end;
};

QemuMachine::QemuMachine(async::Scope& scope, MachineRecord record, sys::Process process, sys::Fd messages)
    : state_(std::make_shared<State>(scope, std::move(record), std::move(process), std::move(messages))) {
  scope.spawn(watch_process(state_));
}

QemuMachine::~QemuMachine() {
  if (state_->qmp) state_->qmp->close("the machine was let go");
}

Task<> QemuMachine::connect(std::chrono::milliseconds timeout) {
  auto state = state_;
  const std::weak_ptr<State> weak = state;
  Qmp::EventHandler handler = [weak](const std::string& name, const json::Value& data) {
    on_event(weak, name, data);
  };
  std::exception_ptr failure;
  try {
    state->qmp =
        co_await Qmp::connect(state->scope, state->record.control_socket, std::move(handler), timeout);
    co_return;
  } catch (const Error&) {
    failure = std::current_exception();
  }
  // Most likely it did not like its arguments and is ending; what it said is the better message.
  const auto ended_in_time = std::chrono::milliseconds(500);
  if (!state->end) (void)co_await state->changed.wait_for(ended_in_time);
  const std::string said = state->said();
  if (state->end && !said.empty())
    throw_error(ErrorCode::failed_precondition, "QEMU does not start: {}", said);
  std::rethrow_exception(failure);
}

Task<> QemuMachine::load_state(sys::FdView file) {
  auto state = state_;
  const std::string name = qmp_object({{"fdname", json::Value(std::string("state"))}});
  co_await state->monitor()->execute("getfd", name, limits::kCommandTimeout, file);
  const std::string uri = qmp_object({{"uri", json::Value(std::string("fd:state"))}});
  co_await state->monitor()->execute("migrate-incoming", uri, limits::kCommandTimeout);
  const SteadyTime deadline = SteadyClock::now() + limits::kLoadTimeout;
  for (;;) {
    std::optional<json::Value> status;
    try {
      status = co_await state->monitor()->execute("query-status", "", limits::kLoadTimeout);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) throw;
    }
    if (!status) break;
    if (status->text_of("status") != "inmigrate") co_return;
    if (SteadyClock::now() > deadline)
      throw_error(ErrorCode::deadline_exceeded, "QEMU did not load the saved state within {} s",
                  std::chrono::seconds(limits::kLoadTimeout).count());
    co_await async::sleep(kLoadPoll);
  }
  // A state that does not fit makes QEMU end.
  const auto ended_in_time = std::chrono::milliseconds(2000);
  if (!state->end) (void)co_await state->changed.wait_for(ended_in_time);
  throw_error(ErrorCode::data_loss, "QEMU could not load the saved state: {}", state->said());
}

Task<> QemuMachine::catch_up() {
  auto state = state_;
  const json::Value status = co_await state->monitor()->execute("query-status", "", limits::kCommandTimeout);
  const std::string_view name = status.text_of("status");
  if (name == "shutdown") guest_ended(state, MachineEnd::Cause::powered_off);
  if (name == "guest-panicked" || name == "internal-error") guest_ended(state, MachineEnd::Cause::reset);
}

const MachineRecord& QemuMachine::record() const noexcept {
  return state_->record;
}

Task<> QemuMachine::pause() {
  auto state = state_;
  co_await state->monitor()->execute("stop", "", limits::kPauseTimeout);
}

Task<> QemuMachine::resume() {
  auto state = state_;
  co_await state->monitor()->execute("cont", "", limits::kCommandTimeout);
}

Task<> QemuMachine::save_state(sys::FdView file) {
  auto state = state_;
  const std::string set = qmp_object({{"fdset-id", json::Value(std::int64_t{kStateFdset})}});
  const auto added = co_await state->monitor()->execute("add-fd", set, limits::kCommandTimeout, file);
  // live: QEMU would give up its locks on the disk as the source of a migration does; this machine may run
  // on.
  const std::string arguments = qmp_object(
      {{"filename", json::Value(fmt::format("/dev/fdset/{}", kStateFdset))}, {"live", json::Value(false)}});
  std::exception_ptr failure;
  try {
    co_await state->monitor()->execute("xen-save-devices-state", arguments, limits::kCommandTimeout);
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (!state->end && !state->qmp->closed())
    co_await state->monitor()->execute("remove-fd", set, limits::kCommandTimeout);
  if (failure) std::rethrow_exception(failure);
}

Task<> QemuMachine::push_overlay(sys::FdView overlay) {
  auto state = state_;
  co_await vmm::push_overlay(state->monitor(), overlay);
}

Task<std::size_t> QemuMachine::disk_layers() {
  auto state = state_;
  co_return co_await count_disk_layers(state->monitor());
}

Task<> QemuMachine::begin_disk_merge(std::string image) {
  auto state = state_;
  co_await vmm::begin_disk_merge(state->monitor(), std::move(image));
}

Task<DiskMerge> QemuMachine::disk_merge() {
  auto state = state_;
  co_return co_await find_disk_merge(state->monitor());
}

Task<> QemuMachine::end_disk_merge() {
  auto state = state_;
  co_await vmm::end_disk_merge(state->monitor());
}

Task<> QemuMachine::stop() {
  auto state = state_;
  state->stopping = true;
  const SteadyTime deadline = SteadyClock::now() + limits::kStopTimeout;
  if (!state->end) state->process.signal(SIGKILL);
  while (!state->end) {
    if (SteadyClock::now() >= deadline)
      throw_error(ErrorCode::deadline_exceeded, "QEMU (process {}) does not die within {} s after SIGKILL",
                  state->record.pid, std::chrono::seconds(limits::kStopTimeout).count());
    (void)co_await state->changed.wait_for(deadline - SteadyClock::now());
  }
}

Task<std::optional<std::string>> QemuMachine::find_hang() {
  auto state = state_;
  int waited = 0;
  char doing = '?';
  while (!state->end && !state->stopping) {
    const SteadyTime start = SteadyClock::now();
    std::string failure;
    try {
      co_await state->monitor()->execute("query-status", "", limits::kProbeSlice);
      co_return std::nullopt;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      if (error.code() != ErrorCode::deadline_exceeded) failure = error.what();
    }
    if (!failure.empty()) {
      // The end of the process closes its monitor, too, and is told in a moment. Nobody controls one that
      // goes on.
      (void)co_await state->changed.wait_for(limits::kProbeSlice * limits::kProbeSlices);
      if (state->end) co_return std::nullopt;
      co_return failure;
    }
    if (SteadyClock::now() - start < 2 * limits::kProbeSlice) ++waited;  // else we stood still ourselves
    if (waited < limits::kProbeSlices) continue;
    const auto stat = sys::read_proc_stat(static_cast<pid_t>(state->record.pid));
    if (!stat) break;  // gone
    doing = stat->state;
    // One that wants a CPU or waits for the host's disk: the others wait for it, asleep, since all of them
    // share QEMU's big lock.
    if (!has_busy_thread(state->record.pid) || waited >= limits::kProbeSlicesBusy)
      co_return fmt::format("no answer for {} ms, process state {}", waited * limits::kProbeSlice.count(),
                            doing);
  }
  co_return std::nullopt;
}

void QemuMachine::end_hung(std::string how) {
  auto state = state_;
  if (state->end || state->stopping) return;
  state->cause = MachineEnd::Cause::hung;
  state->how = std::move(how);
  state->process.signal(SIGKILL);
}

Task<MachineEnd> QemuMachine::wait_end() {
  auto state = state_;
  while (!state->end) co_await state->changed.wait();
  co_return *state->end;
}

std::optional<MachineEnd> QemuMachine::ended() const {
  return state_->end;
}

Task<std::string> QemuMachine::console() {
  auto state = state_;
  co_await read_console(state);
  co_return state->console;
}

// Reading takes the bytes out of QEMU's ring, so we keep them. Quiet about failures but cancellation.
Task<> QemuMachine::read_console(std::shared_ptr<State> state) {
  if (state->end || !state->qmp || state->qmp->closed()) co_return;
  const std::string arguments = qmp_object({{"device", json::Value(std::string(kQemuConsole))},
                                            {"size", json::Value(std::int64_t{limits::kConsoleBytes})},
                                            {"format", json::Value(std::string("base64"))}});
  try {
    const json::Value answer = co_await state->qmp->execute("ringbuf-read", arguments, kConsoleTimeout);
    const std::string* text = answer.as_string();
    const auto bytes = text == nullptr ? std::nullopt : base64_decode(*text);
    if (!bytes) co_return;
    state->console += *bytes;
    if (state->console.size() > limits::kConsoleBytes)
      state->console.erase(0, state->console.size() - limits::kConsoleBytes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::debug("the guest's console could not be read", {{"error", error.what()}});
  }
}

void QemuMachine::on_event(const std::weak_ptr<State>& weak, const std::string& name,
                           const json::Value& data) {
  const auto state = weak.lock();
  if (!state || name != "SHUTDOWN") return;
  const bool power_off = data.text_of("reason") == "guest-shutdown";
  guest_ended(state, power_off ? MachineEnd::Cause::powered_off : MachineEnd::Cause::reset);
}

void QemuMachine::guest_ended(const std::shared_ptr<State>& state, MachineEnd::Cause cause) {
  if (state->cause || state->stopping) return;
  state->cause = cause;
  state->scope.spawn(end_guest(state));
}

Task<> QemuMachine::end_guest(std::shared_ptr<State> state) {
  co_await read_console(state);
  if (!state->end) state->process.signal(SIGKILL);
}

Task<> QemuMachine::watch_process(std::shared_ptr<State> state) {
  sys::Fd duplicate = sys::Fd::adopt(::fcntl(state->process.pidfd().get(), F_DUPFD_CLOEXEC, 3));
  async::Descriptor ended(state->scope.executor(), duplicate.release());
  co_await ended.wait_readable();
  std::string detail;
  if (const auto status = state->process.try_wait(); status && !state->cause && !state->stopping)
    detail = to_string(*status);
  if (const std::string said = state->said(); !said.empty() && !state->stopping)
    detail += (detail.empty() ? "" : ": ") + said;
  if (!state->how.empty()) detail = state->how;
  MachineEnd end;
  end.cause = state->stopping ? MachineEnd::Cause::stopped : state->cause.value_or(MachineEnd::Cause::failed);
  end.detail = std::move(detail);
  end.console = state->console;
  state->end = std::move(end);
  if (state->qmp) state->qmp->close("the process has ended");
  state->changed.notify_all();
}

}  // namespace wrenn::agent::vmm
