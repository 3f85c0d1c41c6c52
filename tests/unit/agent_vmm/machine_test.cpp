#include "agent/vmm/machine.h"

#include <catch2/catch.hpp>

#include "agent/vmm/limits.h"

using namespace wrenn::agent::vmm;

TEST_CASE("the end of a machine shows the end of its console") {
  MachineEnd end{.cause = MachineEnd::Cause::reset, .detail = "", .console = "booting\nlast words\n"};
  CHECK(describe(end) ==
        "the guest restarted itself, as after a kernel panic; end of the guest's console: booting\nlast words");
  end.console = std::string(limits::kConsoleBytes, 'a') + "last words";
  CHECK(describe(end).ends_with("aaalast words"));
  CHECK(describe(end).size() < limits::kErrorBytes + 128);
}

TEST_CASE("a console's control characters are not repeated") {
  const std::string console{"\0\x1b[31mred\x7f\r\n\tlast \xff words\0", 26};
  CHECK(describe({.cause = MachineEnd::Cause::powered_off, .detail = "", .console = console}) ==
        "the guest switched itself off; end of the guest's console:   [31mred  \n\tlast \xEF\xBF\xBD words ");
}

TEST_CASE("of a panic with a long stack, the line that says why is shown") {
  const std::string reason = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009";
  const std::string early = std::string(limits::kConsoleBytes / 2, 'b') + "\n[    5.86] ";
  const std::string stack = std::string(limits::kErrorBytes, 's');
  const std::string shown = describe({.cause = MachineEnd::Cause::reset, .detail = "", .console = early + reason + stack});
  CHECK(shown.find("console: " + reason + "sss") != std::string::npos);
  CHECK(shown.size() < limits::kErrorBytes + 128);

  // A short one is the end of the console anyway.
  const std::string whole = describe({.cause = MachineEnd::Cause::reset, .detail = "", .console = early + reason + "s"});
  CHECK(whole.find("bbb\n[    5.86] " + reason + "s") != std::string::npos);
}
