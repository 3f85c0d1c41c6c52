#include "envd/cgroups.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/text.h"
#include "core/log/log.h"
#include "envd/limits.h"
#include "linux/procfs.h"

namespace wrenn::envd {

namespace {

constexpr int kRetriesPerRetire = 4;
constexpr const char* kOwnGroup = "/envd";
constexpr const char* kThreadsMax = "/proc/sys/kernel/threads-max";
constexpr std::size_t kNumberBytes = 64;    // of a file with one number
constexpr std::size_t kEventsBytes = 4096;  // of cgroup.events

struct Weights {
  const char* name;
  unsigned cpu;
  const char* io;
};

std::string set_up(const std::string& root, const Weights& weights) {
  const std::string path = root + "/" + weights.name;
  auto group = sys::CgroupDir::adopt(path);
  if (!group) group = sys::CgroupDir::create(root, weights.name);
  const std::uint64_t total = sys::read_machine_memory().total;
  const std::uint64_t ours = std::min(total / limits::kAgentMemoryShare, limits::kAgentMemoryBytes);
  const std::string memory = std::to_string(total - ours);
  group->set_cpu_weight(weights.cpu);
  group->set_memory_max(total - ours);
  // A fork bomb must leave threads for envd and what envd starts.
  if (const auto threads = parse_int<std::uint64_t>(trim(sys::read_file(kThreadsMax, kNumberBytes))))
    group->set_pids_max(*threads / 4 * 3);
  // Without these controllers the files are missing, and the processes are merely unlimited.
  (void)sys::try_write_existing(path + "/memory.high", memory);
  (void)sys::try_write_existing(path + "/io.weight", weights.io);
  return group->release();
}

// envd itself leaves `root`: a group below the top of the hierarchy that holds processes cannot have
// controllers for the groups below it.
void move_in(const std::string& root) {
  const std::string path = root + kOwnGroup;
  auto group = sys::CgroupDir::adopt(path);
  if (!group) group = sys::CgroupDir::create(root, kOwnGroup + 1);
  group->release();  // or a failure would kill what is in it: us
  sys::write_existing(path + "/cgroup.procs", std::to_string(::getpid()));
}

// Once the controllers are on. Protected is what envd uses, never more.
void protect(const std::string& root) {
  const std::string path = root + kOwnGroup;
  (void)sys::try_write_existing(path + "/cpu.weight", std::to_string(limits::kAgentCpuWeight));
  (void)sys::try_write_existing(path + "/memory.min", std::to_string(limits::kAgentMemoryMin));
  (void)sys::try_write_existing(path + "/memory.low", std::to_string(limits::kAgentMemoryLow));
}

}  // namespace

Cgroups::Cgroups(const std::string& root) {
  if (root.empty()) return;
  try {
    move_in(root);
  } catch (const std::exception& error) {
    log::warn("envd stays in the control group it was started in", {{"error", error.what()}});
  }
  try {
    for (const char* controller : {"+cpu", "+memory", "+io", "+pids"})
      (void)sys::try_write_existing(root + "/cgroup.subtree_control", controller);
    user_ = set_up(root, {"user", 50, "default 10"});
    pty_ = set_up(root, {"pty", 200, "default 50"});
    protect(root);
  } catch (const std::exception& error) {
    user_.reset();
    pty_.reset();
    log::warn("no control groups for user processes", {{"root", root}, {"error", error.what()}});
  }
}

bool Cgroups::all_say(std::string_view event) const noexcept {
  for (const auto& group : {user_, pty_}) {
    try {
      if (!group) return false;
      const std::string events = sys::read_file(*group + "/cgroup.events", kEventsBytes);
      if (events.find(event) == std::string::npos) return false;
    } catch (const std::exception&) {
      return false;
    }
  }
  return true;
}

bool Cgroups::may_be_populated() const noexcept {
  return !all_say("populated 0");
}

bool Cgroups::frozen() const noexcept {
  return all_say("frozen 1");
}

void Cgroups::set_frozen(bool frozen) {
  for (const auto& group : {user_, pty_})
    if (group) sys::write_existing(*group + "/cgroup.freeze", frozen ? "1" : "0");
}

Cgroups::Leaf::~Leaf() {
  const std::string path = release();
  if (!path.empty()) ::rmdir(path.c_str());
}

void Cgroups::Leaf::kill() noexcept {
  if (!group_) return;
  try {
    group_->kill();
  } catch (const std::exception& error) {
    log::warn("cannot kill a control group", {{"group", group_->path()}, {"error", error.what()}});
  }
}

std::string Cgroups::Leaf::release() noexcept {
  if (!group_) return {};
  std::string path = group_->release();
  group_.reset();
  return path;
}

Cgroups::Leaf Cgroups::create(Kind kind) noexcept {
  const auto& parent = kind == Kind::terminal ? pty_ : user_;
  if (!parent) return {};
  try {
    // Names may be taken by groups of an envd before us in which processes live on.
    for (;;) {
      const std::string name = "p" + std::to_string(next_++);
      if (::access((*parent + "/" + name).c_str(), F_OK) == 0) continue;
      return Leaf(sys::CgroupDir::create(*parent, name));
    }
  } catch (const std::exception& error) {
    log::warn("cannot make a control group for a process", {{"parent", *parent}, {"error", error.what()}});
  }
  try {
    return Leaf(sys::open_directory(*parent));
  } catch (const std::exception&) {
    return {};
  }
}

void Cgroups::retire(Leaf leaf) noexcept {
  const std::string path = leaf.release();
  if (!path.empty()) leftovers_.push_back(path);
  // The newest first, it is usually empty; then some old ones in turn.
  for (int i = 0; i < kRetriesPerRetire && !leftovers_.empty(); ++i) {
    const std::string candidate = std::move(leftovers_.back());
    leftovers_.pop_back();
    if (::rmdir(candidate.c_str()) != 0 && errno == EBUSY) leftovers_.push_front(candidate);
  }
}

}  // namespace wrenn::envd
