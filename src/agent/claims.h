// Claims: which agent directory owns a kernel object of this machine. Network slots, device-mapper devices
// and cgroups have machine-wide names, but two agents with different directories may run on one machine (a
// developer's, a test's). A claim is a file /run/wrenn/claims/NAME that holds the directory; it is made
// before the object and removed after it, and /run is emptied by a reboot just as the kernel objects are. So
// what an agent must clean up after a crash is exactly what its claims name and its journal does not.
#pragma once

#include <string>
#include <vector>

namespace wrenn::agent {

// Functions block for some microseconds and throw SystemError.
class Claims {
 public:
  // `owner` is the agent's directory, absolute. Makes `directory`.
  explicit Claims(std::string owner, std::string directory = "/run/wrenn/claims");

  enum class Taken { now, before, foreign };
  // `before`: it was ours already; `foreign`: another agent has it.
  Taken take(const std::string& name);
  void give_back(const std::string& name);  // idempotent; leaves those of others alone
  // Names that are ours, and names whose owner's directory does not exist any more (nobody else will clean
  // up).
  std::vector<std::string> list() const;

 private:
  std::string owner_;
  std::string directory_;
};

}  // namespace wrenn::agent
