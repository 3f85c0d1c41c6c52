// Control groups of what users run, so that a runaway command meets its own limit before envd loses its
// memory, and so that a kill reaches every descendant (spec/e2b/envd-guest.md §3.1):
//
//   /sys/fs/cgroup/user   commands   cpu.weight 50,  io.weight 10, memory: all but a share for envd
//   /sys/fs/cgroup/pty    terminals  cpu.weight 200, io.weight 50, the same
//   both                     pids.max three quarters of what the kernel allows
//     each with one group per process ("p17"), in which the process is created
//   /sys/fs/cgroup/envd   envd       cpu.weight 1000, memory.min 50 MiB, memory.low 100 MiB
//
// Ports are forwarded by envd itself, so they have no group of their own (E2B's socat processes have).
// Without a writable cgroup v2 everything here does nothing.
#pragma once

#include <atomic>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "linux/cgroup.h"

namespace wrenn::envd {

class Cgroups {
 public:
  enum class Kind { command, terminal };

  // `root`: directory of a cgroup v2 below which to create; empty for none. Problems are logged, not thrown.
  explicit Cgroups(const std::string& root);

  bool usable() const noexcept { return user_.has_value(); }
  // False only if it is certain that no process of a user's is alive.
  bool may_be_populated() const noexcept;
  // Stops or continues everything that users run; the kernel tells by frozen() when all of it has stopped.
  // Throws SystemError.
  void set_frozen(bool frozen);
  bool frozen() const noexcept;

  // The group of one process. Destruction removes it if it is empty, and else leaves it in place.
  class Leaf {
   public:
    Leaf() = default;
    explicit Leaf(sys::CgroupDir group) : group_(std::move(group)) {}
    explicit Leaf(sys::Fd shared) : shared_(std::move(shared)) {}
    ~Leaf();
    Leaf(Leaf&&) noexcept = default;
    Leaf& operator=(Leaf&& other) noexcept {
      std::swap(group_, other.group_);
      std::swap(shared_, other.shared_);
      return *this;
    }

    sys::FdView fd() const noexcept { return group_ ? group_->fd() : shared_.view(); }
    // Whether it holds this process and its descendants only.
    bool own() const noexcept { return group_.has_value(); }
    // SIGKILL to all in it, whatever session they made for themselves, if it is the process's own.
    void kill() noexcept;
    // The path, which the caller now has to remove; empty without a group.
    std::string release() noexcept;

   private:
    std::optional<sys::CgroupDir> group_;
    sys::Fd shared_;
  };

  // Makes the group of a new process. Where that fails the leaf is the group of all of its kind, so that
  // nothing of a user's gets into envd's; it is empty only without groups. From any thread.
  Leaf create(Kind kind) noexcept;
  // Removes the group of an ended process; one in which background processes live on is tried again later.
  // Loop only.
  void retire(Leaf leaf) noexcept;

 private:
  bool all_say(std::string_view event) const noexcept;
  std::optional<std::string> user_, pty_;  // paths; both or neither
  std::atomic<std::uint64_t> next_{1};
  std::deque<std::string> leftovers_;
};

}  // namespace wrenn::envd
