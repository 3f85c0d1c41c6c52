// WatchTree: one inotify instance and the directories that it watches; makes events of the protocol of what
// the kernel tells. All functions block (they look up paths), none waits for events: whoever owns this waits
// for fd().
#pragma once

#include <sys/inotify.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "envd/files/entry.h"
#include "linux/fd.h"

namespace wrenn::envd::files {

struct WatchOptions {
  std::string path;  // absolute
  bool recursive = false;
  bool with_entries = false;
  bool network_mounts = false;
};

// What all trees share. They live on different threads.
struct WatchBudget {
  std::atomic<std::size_t> directories{0};
};

struct WatchBatch {
  std::vector<std::string> events;  // JSON of a FilesystemEvent each, oldest first
  std::uint64_t queue_bytes = 0;    // how much of the kernel's queue these were
  // After these something was lost, and the tree is of no use any more: data_loss when it was too much at a
  // time, resource_exhausted when there are too many directories.
  std::optional<Error> failure;
};

class WatchTree {
 public:
  // Throws Error(not_found), Error(invalid_argument) for what is no directory and for a network file system
  // unless allowed, Error(resource_exhausted) beyond the kernel's limits and limits::kWatchedDirectories,
  // SystemError.
  WatchTree(WatchOptions options, std::shared_ptr<WatchBudget> budget);
  // The kernel takes 10 ms and more [measured]: not on the loop thread.
  ~WatchTree();
  WatchTree(const WatchTree&) = delete;
  WatchTree& operator=(const WatchTree&) = delete;

  sys::FdView fd() const noexcept { return fd_; }
  // How much the kernel has for read(), in bytes of its queue. Also while another thread reads.
  std::uint64_t queued() const noexcept;
  // At most limits::kWatchReadBytes of what is queued; nothing when nothing is.
  WatchBatch read();

 private:
  using Wd = int;  // the kernel's number of a watched directory
  static constexpr Wd kNone = -1;
  struct Directory {
    Wd parent = kNone;
    const std::string* name =
        nullptr;  // the key in the parent's children; null for the root and while moving
    std::map<std::string, Wd, std::less<>> children;  // watched ones
  };
  bool crosses_into(const std::string& path) const;
  enum class Tell { nothing, everything };  // of what a scan finds

  struct Added {
    Wd directory = kNone;
    bool is_new = false;
  };
  Added add(Wd parent, std::string_view name);
  bool leads_to_same(Wd directory, const std::string& path) const;
  void attach(Wd directory, Wd parent, std::string_view name);
  void detach(Wd directory);
  void forget(Wd directory, bool unwatch);
  bool is_above(Wd directory, Wd other) const;
  Wd child(Wd parent, std::string_view name) const;
  std::string relative(Wd directory, std::string_view name) const;
  std::string absolute(Wd directory, std::string_view name = {}) const;

  void scan(Wd top, Tell tell);
  void handle(const inotify_event& event, std::string_view name);
  void handle_self(const inotify_event& event);
  void appeared(const inotify_event& event, std::string_view name);
  void directory_appeared(const inotify_event& event, std::string_view name);
  void departed(const inotify_event& event, std::string_view name);
  void tell(std::string_view type, Wd directory, std::string_view name, bool with_entry);
  bool was_scanned(Wd directory, std::string_view name);

  const WatchOptions options_;
  const std::shared_ptr<WatchBudget> budget_;
  sys::Fd fd_;
  Wd root_ = kNone;
  std::unordered_map<Wd, Directory> directories_;

  // A directory that has left its place; the next event tells whether it came to another of ours.
  struct Moving {
    std::uint32_t cookie;
    Wd directory;
  };
  std::optional<Moving> moving_;
  // The upload that is about to get its name.
  std::uint32_t upload_cookie_ = 0;
  bool upload_is_new_ = false;

  // Entries that a scan has told of, until the kernel's own word of them has been read.
  std::set<std::pair<Wd, std::string>> scanned_;
  std::uint64_t scanned_until_ = 0;  // bytes of the kernel's queue since the beginning
  std::uint64_t read_bytes_ = 0;

  WatchBatch* batch_ = nullptr;       // while reading
  std::optional<OwnerNames> owners_;  // of one batch
};

}  // namespace wrenn::envd::files
