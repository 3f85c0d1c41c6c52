// One running QEMU process.
#pragma once

#include <memory>
#include <string>

#include "agent/vmm/machine.h"
#include "agent/vmm/qmp.h"
#include "core/async/event.h"
#include "core/async/scope.h"

namespace wrenn::agent::vmm {

class QemuMachine final : public Machine {
 public:
  // `messages` is the file that holds what the process writes to its standard error; may be unset (adopted
  // machines).
  QemuMachine(async::Scope& scope, MachineRecord record, sys::Process process, sys::Fd messages);
  ~QemuMachine() override;

  // Before anything else. Throws Error(unavailable) with what the process printed when it ended.
  Task<> connect(std::chrono::milliseconds timeout);
  // After connect(), for a machine started to wait for a state: loads it from `file`, open for reading.
  Task<> load_state(sys::FdView file);
  // After connect() to a machine of an earlier run: it may have met its end meanwhile.
  Task<> catch_up();

  const MachineRecord& record() const noexcept override;
  Task<> pause() override;
  Task<> resume() override;
  Task<> save_state(sys::FdView file) override;
  Task<> push_overlay(sys::FdView overlay) override;
  Task<std::size_t> disk_layers() override;
  Task<> begin_disk_merge(std::string image) override;
  Task<DiskMerge> disk_merge() override;
  Task<> end_disk_merge() override;
  Task<> stop() override;
  Task<std::optional<std::string>> find_hang() override;
  void end_hung(std::string how) override;
  Task<MachineEnd> wait_end() override;
  std::optional<MachineEnd> ended() const override;
  Task<std::string> console() override;

 private:
  struct State;
  static Task<> watch_process(std::shared_ptr<State> state);
  static Task<> end_guest(std::shared_ptr<State> state);
  static Task<> read_console(std::shared_ptr<State> state);
  static void guest_ended(const std::shared_ptr<State>& state, MachineEnd::Cause cause);
  static void on_event(const std::weak_ptr<State>& weak, const std::string& name, const json::Value& data);

  std::shared_ptr<State> state_;
};

}  // namespace wrenn::agent::vmm
