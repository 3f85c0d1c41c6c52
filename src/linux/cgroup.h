// Control groups, version 2 (unified hierarchy) only.
//
// A group that holds processes cannot give controllers to groups below it, so a service that wants groups of
// its own first moves itself into a leaf: prepare_cgroup_subtree().
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/fd.h"

namespace wrenn::sys {

// Where the cgroup v2 hierarchy is mounted ("/sys/fs/cgroup"); absent when it is not.
std::optional<std::string> cgroup_mount();
// Directory of our own group; absent without a hierarchy. Throws SystemError.
std::optional<std::string> own_cgroup();
// Why groups cannot be made below our own group; empty when they can.
std::string cgroup_problem();

// The path of the "0::" line of /proc/PID/cgroup; absent when there is none.
std::optional<std::string> parse_cgroup_path(std::string_view text);

// Makes our own group ready to hold groups: moves its processes into the group `leaf` below it and turns on
// what is offered of `controllers` for its children. Returns our former group, below which to create. Can be
// repeated: a process that is in a group named `leaf` already stays. Throws SystemError, Error(unavailable)
// without a hierarchy.
std::string prepare_cgroup_subtree(const std::string& leaf, const std::vector<std::string>& controllers);

struct CgroupCpuUse {
  std::uint64_t total_us = 0;
  std::uint64_t user_us = 0;
  std::uint64_t system_us = 0;
};
CgroupCpuUse parse_cgroup_cpu(std::string_view text);  // of cpu.stat; missing lines count 0

// Owns a group: destruction kills what is in it and removes it.
class CgroupDir {
 public:
  // Throws SystemError, EEXIST when there is one.
  static CgroupDir create(const std::string& parent, const std::string& name);
  // Takes over an existing one; absent when there is none. Throws SystemError.
  static std::optional<CgroupDir> adopt(const std::string& path);

  ~CgroupDir() { reset(); }
  CgroupDir(CgroupDir&& other) noexcept;
  CgroupDir& operator=(CgroupDir&& other) noexcept;
  CgroupDir(const CgroupDir&) = delete;
  CgroupDir& operator=(const CgroupDir&) = delete;

  const std::string& path() const noexcept { return path_; }
  FdView fd() const noexcept { return fd_; }  // for SpawnOptions.cgroup

  // Each returns false when the controller is not on here, which leaves the processes unlimited in that
  // respect. Throws SystemError when the kernel refuses the value.
  bool set_memory_max(std::uint64_t bytes);
  bool set_swap_max(std::uint64_t bytes);
  bool set_cpu_max(std::uint64_t quota_us,
                   std::uint64_t period_us = 100'000);  // quota per period, over all CPUs
  bool set_cpu_weight(unsigned weight);                 // 1 … 10000, default 100
  bool set_pids_max(std::uint64_t count);

  // Turns on what of `controllers` is offered here for groups below; returns those that are on now.
  std::vector<std::string> enable_controllers(const std::vector<std::string>& controllers);

  void attach(pid_t pid);  // moves a whole process; throws SystemError
  std::vector<pid_t> pids() const;
  bool populated() const;  // whether this group or one below holds a process
  void kill();             // SIGKILL to all, also below; does not wait. Throws SystemError.
  // Kills what is in it, waits until it is empty, removes it and the groups below. Throws SystemError, EBUSY
  // when that takes longer than `timeout`; it then stays ours.
  void remove(std::chrono::milliseconds timeout);
  // Leaves it in place.
  std::string release() noexcept;

  std::optional<std::uint64_t> memory_bytes() const;  // memory.current; absent without the controller
  CgroupCpuUse cpu_use() const;

 private:
  CgroupDir(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  bool set(const char* file, const std::string& value);
  std::string file(const char* name) const { return path_ + "/" + name; }
  void reset() noexcept;
  std::string path_;  // empty when there is nothing to remove
  Fd fd_;
};

// Names of the groups directly below `parent` that begin with `prefix`. Throws SystemError.
std::vector<std::string> list_cgroups(const std::string& parent, std::string_view prefix);

}  // namespace wrenn::sys
