#include "linux/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <thread>

#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/log/log.h"
#include "linux/file.h"

namespace wrenn::sys {

namespace {

constexpr const char* kDirectory = "/run/netns";

// Runs `work` on a thread of its own and rethrows what it throws.
template <typename Work>
void run_on_own_thread(Work work) {
  std::exception_ptr failure;
  std::thread thread([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure) std::rethrow_exception(failure);
}

// The directory must be a shared mount of its own: otherwise each mount namespace made later would keep its
// copy of our mounts, and with it every network namespace, alive.
void prepare_directory() {
  make_directories(kDirectory);
  if (::mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) == 0) return;
  if (errno != EINVAL) throw_errno("share the mounts below {}", kDirectory);
  if (::mount(kDirectory, kDirectory, "none", MS_BIND | MS_REC, nullptr) < 0)
    throw_errno("bind {}", kDirectory);
  if (::mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) < 0)
    throw_errno("share the mounts below {}", kDirectory);
}

void check_name(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..")
    throw_error(ErrorCode::invalid_argument, "\"{}\" is no name for a network namespace", name);
}

}  // namespace

std::string netns_path(const std::string& name) {
  return fmt::format("{}/{}", kDirectory, name);
}

Fd current_netns() {
  return open_file("/proc/thread-self/ns/net", O_RDONLY);
}

void run_in_netns(FdView netns, const std::function<void()>& work) {
  run_on_own_thread([&] {
    if (::setns(netns.get(), CLONE_NEWNET) < 0) throw_errno("enter a network namespace");
    work();
  });
}

NetNs NetNs::create(const std::string& name, const std::function<void()>& inside) {
  check_name(name);
  prepare_directory();
  const std::string path = netns_path(name);
  open_file(path, O_RDONLY | O_CREAT | O_EXCL, 0444).reset();  // what the namespace is mounted on
  ScopeGuard remove_file([&] { ::unlink(path.c_str()); });
  std::optional<NetNs> created;
  run_on_own_thread([&] {
    if (::unshare(CLONE_NEWNET) < 0) throw_errno("create network namespace {}", name);
    Fd fd = current_netns();
    if (::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) < 0)
      throw_errno("name network namespace {}", name);
    created = NetNs(name, std::move(fd));
    if (inside) inside();
  });
  remove_file.dismiss();
  return std::move(*created);
}

std::optional<NetNs> NetNs::adopt(const std::string& name) {
  check_name(name);
  auto fd = try_open_file(netns_path(name), O_RDONLY);
  if (!fd) return std::nullopt;
  struct statfs filesystem{};
  if (::fstatfs(fd->get(), &filesystem) < 0) throw_errno("inspect network namespace {}", name);
  if (filesystem.f_type != NSFS_MAGIC) return std::nullopt;
  return NetNs(name, std::move(*fd));
}

NetNs& NetNs::operator=(NetNs&& other) noexcept {
  if (this != &other) {
    reset();
    name_ = std::exchange(other.name_, std::string());
    fd_ = std::move(other.fd_);
  }
  return *this;
}

void NetNs::reset() noexcept {
  const std::string name = std::exchange(name_, std::string());
  fd_.reset();
  if (name.empty()) return;
  try {
    remove_netns(name);
  } catch (const std::exception& error) {
    log::warn("network namespace stays", {{"name", name}, {"error", error.what()}});
  }
}

bool remove_netns(const std::string& name) {
  check_name(name);
  const std::string path = netns_path(name);
  // EINVAL: a bare file, left by somebody who died between creating it and mounting.
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
    throw_errno("unmount network namespace {}", name);
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw_errno("remove network namespace {}", name);
}

std::vector<std::string> list_netns(std::string_view prefix) {
  std::vector<std::string> names;
  for (std::string& name : try_list_directory(kDirectory).value_or(std::vector<std::string>()))
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  return names;
}

}  // namespace wrenn::sys
