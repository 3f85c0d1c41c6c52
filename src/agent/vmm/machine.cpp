#include "agent/vmm/machine.h"

#include <algorithm>
#include <csignal>

#include "agent/vmm/limits.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::agent::vmm {

namespace {

// What to show of a console, limits::kErrorBytes at most: its end, or from the last panic on if that is longer, because
// the reason stands in a panic's first line and the registers and the stack come after it.
std::string_view telling_part(std::string_view console) {
  console = trim(console);
  if (console.size() <= limits::kErrorBytes) return console;
  const std::size_t end_begins = console.size() - limits::kErrorBytes;
  return console.substr(std::min(console.rfind(kKernelPanic), end_begins), limits::kErrorBytes);
}

// Hostile text, fit to be shown on a terminal and stored by a database: without control characters but line ends and tabs.
std::string printable(std::string_view text) {
  std::string out = sanitize_utf8(text);
  for (char& c : out)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = ' ';
  return out;
}

}  // namespace

std::string_view to_string(Acceleration acceleration) noexcept {
  return acceleration == Acceleration::kvm ? "kvm" : "tcg";
}

std::optional<Acceleration> from_string(std::string_view text, Acceleration*) noexcept {
  if (text == "kvm") return Acceleration::kvm;
  if (text == "tcg") return Acceleration::tcg;
  return std::nullopt;
}

std::string_view to_string(DiskFormat format) noexcept {
  return format == DiskFormat::raw ? "raw" : "qcow2";
}

std::optional<DiskFormat> from_string(std::string_view text, DiskFormat*) noexcept {
  if (text == "raw") return DiskFormat::raw;
  if (text == "qcow2") return DiskFormat::qcow2;
  return std::nullopt;
}

std::string_view to_string(MachineEnd::Cause cause) noexcept {
  switch (cause) {
    case MachineEnd::Cause::stopped:
      return "the machine was stopped";
    case MachineEnd::Cause::powered_off:
      return "the guest switched itself off";
    case MachineEnd::Cause::reset:
      return "the guest restarted itself, as after a kernel panic";
    case MachineEnd::Cause::failed:
      return "the machine monitor ended unexpectedly";
    case MachineEnd::Cause::hung:
      return "the machine monitor did not answer any more and was ended";
  }
  return "unknown";
}

std::string describe(const MachineEnd& end) {
  std::string text(to_string(end.cause));
  if (!end.detail.empty()) text += " (" + end.detail + ")";
  const std::string_view console = telling_part(end.console);
  if (end.cause == MachineEnd::Cause::stopped || console.empty()) return text;
  return text + "; end of the guest's console: " + printable(console);
}

void kill_machine(const MachineRecord& record) {
  auto process = sys::Process::adopt(static_cast<pid_t>(record.pid), record.start_time);
  if (!process) return;
  process->signal(SIGKILL);
  if (!process->wait(limits::kStopTimeout)) {
    throw_error(ErrorCode::deadline_exceeded, "machine monitor {} does not die within {} s after SIGKILL",
                record.pid, std::chrono::seconds(limits::kStopTimeout).count());
  }
}

}  // namespace wrenn::agent::vmm
