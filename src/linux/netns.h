// Network namespaces with a name, kept the way of ip-netns(8): a bind mount at /run/netns/NAME.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/fd.h"

namespace wrenn::sys {

// Runs `work` on a short-lived thread that has entered the namespace, waits for it, and rethrows what it
// throws. This thread's own namespace is not touched. Sockets and TAPs opened there stay in that namespace
// wherever they are used.
void run_in_netns(FdView netns, const std::function<void()>& work);

// Owns a named namespace: destruction removes the name, and the namespace goes with its last process and
// socket (which the kernel does later, in the background).
class NetNs {
 public:
  // Fails with EEXIST when the name is taken. `inside`, when given, runs on the thread that creates the
  // namespace, which saves entering it again. Throws SystemError, and what `inside` throws; nothing is left
  // behind then.
  static NetNs create(const std::string& name, const std::function<void()>& inside = {});
  // Takes over one that exists. Absent when there is none of this name, or only the empty file of a creation
  // that was cut short; remove_netns() takes that away. Throws SystemError.
  static std::optional<NetNs> adopt(const std::string& name);

  ~NetNs() { reset(); }
  NetNs(NetNs&& other) noexcept
      : name_(std::exchange(other.name_, std::string())), fd_(std::move(other.fd_)) {}
  NetNs& operator=(NetNs&& other) noexcept;
  NetNs(const NetNs&) = delete;
  NetNs& operator=(const NetNs&) = delete;

  const std::string& name() const noexcept { return name_; }
  FdView fd() const noexcept { return fd_; }
  // Leaves the namespace and its name in place, for a later run to adopt.
  void release() noexcept { name_.clear(), fd_.reset(); }

 private:
  NetNs(std::string name, Fd fd) : name_(std::move(name)), fd_(std::move(fd)) {}
  void reset() noexcept;
  std::string name_;  // empty when there is nothing to remove
  Fd fd_;
};

std::string netns_path(const std::string& name);
// Removes the name; false when there was none. Throws SystemError.
bool remove_netns(const std::string& name);
// Names that begin with `prefix`. Throws SystemError.
std::vector<std::string> list_netns(std::string_view prefix);
// The namespace of the calling thread.
Fd current_netns();

}  // namespace wrenn::sys
