#include "linux/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/file.h"
#include "linux/kernel_limits.h"
#include "linux/mount_point.h"

namespace wrenn::sys {

namespace {

constexpr auto kDestructorWait = std::chrono::seconds(2);  // for killed processes to be gone, in a destructor

std::string read_text(const std::string& path) {
  return read_file(path, limits::kMapsFileBytes);
}

std::vector<std::string> words_of(const std::string& path) {
  std::vector<std::string> words;
  const std::string text = read_text(path);
  for (const std::string_view word : split(trim(text), ' '))
    if (!word.empty()) words.emplace_back(word);
  return words;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::vector<pid_t> pids_of(const std::string& group) {
  std::vector<pid_t> pids;
  const std::string text = read_text(group + "/cgroup.procs");
  for (const std::string_view line : split(text, '\n'))
    if (const auto pid = parse_int<pid_t>(line)) pids.push_back(*pid);
  return pids;
}

std::vector<std::string> enable(const std::string& group, const std::vector<std::string>& controllers) {
  const auto offered = words_of(group + "/cgroup.controllers");
  const std::string control = group + "/cgroup.subtree_control";
  // One at a time: one refusal would take the others down with it.
  for (const std::string& controller : controllers)
    if (contains(offered, controller)) (void)try_write_existing(control, "+" + controller);
  std::vector<std::string> on;
  const auto active = words_of(control);
  for (const std::string& controller : controllers)
    if (contains(active, controller)) on.push_back(controller);
  return on;
}

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) {
    if (errno == ENOENT) return names;
    throw_errno("list {}", path);
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

// Removes the group and those below, leaves first. Returns errno of the first refusal, 0 when all are gone.
int remove_groups(const std::string& path) {
  for (const std::string& name : folders_in(path))
    if (const int error = remove_groups(path + "/" + name)) return error;
  return ::rmdir(path.c_str()) < 0 && errno != ENOENT ? errno : 0;
}

}  // namespace

std::optional<std::string> cgroup_mount() {
  for (MountEntry& mount : list_mounts())
    if (mount.type == "cgroup2" && mount.root == "/") return std::move(mount.target);
  // In a container the mount may show only a part of the hierarchy.
  for (MountEntry& mount : list_mounts())
    if (mount.type == "cgroup2") return std::move(mount.target);
  return std::nullopt;
}

std::optional<std::string> parse_cgroup_path(std::string_view text) {
  for (const std::string_view line : split(text, '\n'))
    if (line.starts_with("0::")) return std::string(line.substr(3));
  return std::nullopt;
}

std::optional<std::string> own_cgroup() {
  const auto mount = cgroup_mount();
  if (!mount) return std::nullopt;
  const auto path = parse_cgroup_path(read_text("/proc/self/cgroup"));
  if (!path) return std::nullopt;
  std::string directory = *path == "/" ? *mount : *mount + *path;
  if (exists(directory)) return directory;
  return mount;  // the path is outside of what this mount shows
}

std::string cgroup_problem() {
  try {
    const auto own = own_cgroup();
    if (!own) return "no cgroup v2 hierarchy is mounted";
    if (::access(own->c_str(), W_OK) < 0) return fmt::format("no right to create groups in {}", *own);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

std::string prepare_cgroup_subtree(const std::string& leaf, const std::vector<std::string>& controllers) {
  const auto own = own_cgroup();
  if (!own) throw_error(ErrorCode::unavailable, "no cgroup v2 hierarchy is mounted");
  std::string parent = *own;
  if (parent.ends_with("/" + leaf)) {
    parent.resize(parent.size() - leaf.size() - 1);
  } else if (exists(parent + "/cgroup.type")) {  // not the root, which alone may hold processes and groups
    const std::string target = parent + "/" + leaf;
    make_directories(target);
    for (const pid_t pid : pids_of(parent)) {
      const int error = try_write_existing(target + "/cgroup.procs", std::to_string(pid));
      if (error != 0 && error != ESRCH) {
        errno = error;
        throw_errno("move process {} to cgroup {}", pid, target);
      }
    }
  }
  enable(parent, controllers);
  return parent;
}

CgroupCpuUse parse_cgroup_cpu(std::string_view text) {
  CgroupCpuUse use;
  for (const std::string_view line : split(text, '\n')) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) continue;
    const auto value = parse_int<std::uint64_t>(line.substr(space + 1)).value_or(0);
    const std::string_view name = line.substr(0, space);
    if (name == "usage_usec") use.total_us = value;
    if (name == "user_usec") use.user_us = value;
    if (name == "system_usec") use.system_us = value;
  }
  return use;
}

CgroupDir CgroupDir::create(const std::string& parent, const std::string& name) {
  std::string path = parent + "/" + name;
  if (::mkdir(path.c_str(), 0755) < 0) throw_errno("create cgroup {}", path);
  CgroupDir group(std::move(path), Fd());
  group.fd_ = open_directory(group.path_);
  return group;
}

std::optional<CgroupDir> CgroupDir::adopt(const std::string& path) {
  auto fd = try_open_file(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return std::nullopt;
  return CgroupDir(path, std::move(*fd));
}

CgroupDir::CgroupDir(CgroupDir&& other) noexcept
    : path_(std::exchange(other.path_, std::string())), fd_(std::move(other.fd_)) {}

CgroupDir& CgroupDir::operator=(CgroupDir&& other) noexcept {
  if (this != &other) {
    reset();
    path_ = std::exchange(other.path_, std::string());
    fd_ = std::move(other.fd_);
  }
  return *this;
}

bool CgroupDir::set(const char* name, const std::string& value) {
  const int error = try_write_existing(file(name), value);
  if (error == 0) return true;
  if (error == ENOENT && exists(path_)) return false;
  errno = error;
  throw_errno("set {} to \"{}\"", file(name), value);
}

bool CgroupDir::set_memory_max(std::uint64_t bytes) {
  return set("memory.max", std::to_string(bytes));
}
bool CgroupDir::set_swap_max(std::uint64_t bytes) {
  return set("memory.swap.max", std::to_string(bytes));
}
bool CgroupDir::set_cpu_max(std::uint64_t quota_us, std::uint64_t period_us) {
  return set("cpu.max", fmt::format("{} {}", quota_us, period_us));
}
bool CgroupDir::set_cpu_weight(unsigned weight) {
  return set("cpu.weight", std::to_string(weight));
}
bool CgroupDir::set_pids_max(std::uint64_t count) {
  return set("pids.max", std::to_string(count));
}

std::vector<std::string> CgroupDir::enable_controllers(const std::vector<std::string>& controllers) {
  return enable(path_, controllers);
}

void CgroupDir::attach(pid_t pid) {
  write_existing(file("cgroup.procs"), std::to_string(pid));
}

std::vector<pid_t> CgroupDir::pids() const {
  return pids_of(path_);
}

bool CgroupDir::populated() const {
  return read_text(file("cgroup.events")).find("populated 1") != std::string::npos;
}

void CgroupDir::kill() {
  const int error = try_write_existing(file("cgroup.kill"), "1");
  if (error == 0) return;
  if (error != ENOENT) {
    errno = error;
    throw_errno("kill the processes of cgroup {}", path_);
  }
  // Before Linux 5.14: one by one, which a forking process can outrun; remove() repeats it.
  for (const pid_t pid : pids()) ::kill(pid, SIGKILL);
}

void CgroupDir::remove(std::chrono::milliseconds timeout) {
  if (path_.empty()) return;
  const auto start = SteadyClock::now();
  for (;;) {
    if (exists(path_) && populated()) kill();
    const int error = remove_groups(path_);
    if (error == 0) break;
    if (error != EBUSY || SteadyClock::now() - start >= timeout) {
      errno = error;
      throw_errno("remove cgroup {}", path_);
    }
    std::this_thread::sleep_for(limits::kCgroupRemoveInterval);
  }
  release();
}

std::string CgroupDir::release() noexcept {
  fd_.reset();
  return std::exchange(path_, std::string());
}

void CgroupDir::reset() noexcept {
  try {
    remove(kDestructorWait);
  } catch (const std::exception& error) {
    log::warn("cgroup stays", {{"path", path_}, {"error", error.what()}});
    release();
  }
}

std::optional<std::uint64_t> CgroupDir::memory_bytes() const {
  const auto text = try_read_file(file("memory.current"), limits::kProcFileBytes);
  if (!text) return std::nullopt;
  return parse_int<std::uint64_t>(trim(*text));
}

CgroupCpuUse CgroupDir::cpu_use() const {
  return parse_cgroup_cpu(read_text(file("cpu.stat")));
}

std::vector<std::string> list_cgroups(const std::string& parent, std::string_view prefix) {
  std::vector<std::string> names;
  for (std::string& name : folders_in(parent))
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  return names;
}

}  // namespace wrenn::sys
