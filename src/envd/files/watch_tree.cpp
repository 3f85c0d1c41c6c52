// inotify watches single directories, so a tree is one watch for each directory in it. Four things make that
// hard:
//
//   1. A new directory has no watch yet, and things may be made in it before it gets one. So: watch it, then
//   look
//      what is in it, and tell of what is found as if the kernel had. What was made between the two is told
//      of by both; `scanned_` remembers what the look has told until the kernel's queue of that moment has
//      been read.
//
//        mkdir d   create d/a   [watch d]   create d/b   [look: a b]   create d/c
//                                           kernel: b                  kernel: c
//                                           told already
//
//   2. A directory that is renamed takes its watch with it, so the path of a watch is not fixed. Directories
//   know
//      their parent and their name in it, and a path is put together when it is needed. The two halves of a
//      rename follow each other in the queue and have the same cookie; a departure whose next event is
//      something else has left the tree, and its watches go.
//   3. By the time we read of something it may be gone or something else. So nothing that cannot be found is
//   an
//      error; its end will be told, too.
//   4. Queues are bounded. When the kernel's overflows, or a tree that is moved in is too much to tell, the
//   batch ends
//      in an error: the client must look for itself and watch anew.
//
// The types are those that E2B's clients know (of Go's fsnotify): a rename is RENAME of the old name and
// CREATE of the new one. Uploads, which are renames of a temporary file, look as if they were written in
// place.
#include "envd/files/watch_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/text.h"
#include "envd/files/path_error.h"
#include "envd/files/paths.h"
#include "envd/files/temporary_name.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

namespace {

constexpr std::uint32_t kEvents = IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

// Numbers that <linux/magic.h> of older systems lacks (statfs(2)).
constexpr std::uint32_t kCifs = 0xff534d42;
constexpr std::uint32_t kSmb2 = 0xfe534d42;
constexpr std::uint32_t kFuse = 0x65735546;

enum class FileSystem { ordinary, network, of_the_kernel };

FileSystem file_system_of(const std::string& path) noexcept {
  struct statfs system{};
  if (::statfs(path.c_str(), &system) != 0) return FileSystem::ordinary;
  switch (static_cast<std::uint32_t>(system.f_type)) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case kCifs:
    case kSmb2:
    case kFuse:
      return FileSystem::network;
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case BPF_FS_MAGIC:
      return FileSystem::of_the_kernel;
    default:
      return FileSystem::ordinary;
  }
}

void check_directory(const WatchOptions& options) {
  struct stat info{};
  if (::stat(options.path.c_str(), &info) != 0) throw_path_error("watch", options.path);
  const std::string shown = sanitize_utf8(options.path);
  if (!S_ISDIR(info.st_mode)) throw_error(ErrorCode::invalid_argument, "path '{}' is not a directory", shown);
  if (!options.network_mounts && file_system_of(options.path) == FileSystem::network)
    throw_error(
        ErrorCode::invalid_argument,
        "path '{}' is on a network file system, whose changes by others the kernel does not tell: set "
        "allowNetworkMounts to watch it nevertheless",
        shown);
}

// Something was here a moment ago, or cannot be reached by any path that a caller could name.
bool is_gone(int error) noexcept {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG || error == EACCES;
}

[[noreturn]] void throw_lost(std::string_view why) {
  throw_error(ErrorCode::data_loss, "file system events were lost ({}): list the directory and watch it anew",
              why);
}

}  // namespace

WatchTree::WatchTree(WatchOptions options, std::shared_ptr<WatchBudget> budget)
    : options_(std::move(options)), budget_(std::move(budget)) {
  check_directory(options_);
  fd_ = sys::Fd::adopt(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd_.valid()) {
    if (errno == EMFILE)
      throw_error(ErrorCode::resource_exhausted,
                  "no more directories can be watched at a time: end a watch, or raise "
                  "fs.inotify.max_user_instances");
    throw_errno("make an inotify instance");
  }
  try {
    root_ = add(kNone, {}).directory;
    if (root_ == kNone) throw_path_error("watch", options_.path);
    if (options_.recursive) scan(root_, Tell::nothing);
  } catch (...) {
    budget_->directories -= directories_.size();
    throw;
  }
}

WatchTree::~WatchTree() {
  budget_->directories -= directories_.size();
}

std::uint64_t WatchTree::queued() const noexcept {
  int bytes = 0;
  return ::ioctl(fd_.get(), FIONREAD, &bytes) == 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

WatchBatch WatchTree::read() {
  WatchBatch batch;
  const auto buffer = std::make_unique_for_overwrite<char[]>(limits::kWatchReadBytes);
  const ssize_t got = ::read(fd_.get(), buffer.get(), limits::kWatchReadBytes);
  if (got <= 0) return batch;
  const auto size = static_cast<std::size_t>(got);
  const std::uint64_t before = read_bytes_;
  read_bytes_ += size;
  batch.queue_bytes = size;
  batch_ = &batch;
  owners_.reset();
  try {
    inotify_event event;
    for (std::size_t at = 0; at < size; at += sizeof event + event.len) {
      std::memcpy(&event, buffer.get() + at, sizeof event);
      if (!scanned_.empty() && before + at >= scanned_until_) scanned_.clear();
      const char* const name = buffer.get() + at + sizeof event;
      handle(event, std::string_view(name, ::strnlen(name, event.len)));
    }
  } catch (const Error& error) {
    batch.failure = error;
  }
  batch_ = nullptr;
  return batch;
}

// --- the directories that are watched ---

// None when it is gone already, or watched under another name that still leads to it (a bind mount). One that
// came here from another place of ours before its move has been read of keeps its watch, and is no news.
WatchTree::Added WatchTree::add(Wd parent, std::string_view name) {
  const std::string path = absolute(parent, name);
  const Wd wd =
      ::inotify_add_watch(fd_.get(), path.c_str(), parent == kNone ? kEvents : kEvents | IN_DONT_FOLLOW);
  if (wd < 0) {
    if (is_gone(errno)) return {};
    if (errno == ENOSPC)
      throw_error(ErrorCode::resource_exhausted,
                  "more directories below '{}' than the kernel watches for one user: watch fewer, or raise "
                  "fs.inotify.max_user_watches",
                  sanitize_utf8(options_.path));
    throw_errno("watch '{}'", sanitize_utf8(path));
  }
  if (directories_.contains(wd)) {
    if (is_above(wd, parent) || leads_to_same(wd, path)) return {};
    attach(wd, parent, name);
    return {wd, false};
  }
  if (budget_->directories >= limits::kWatchedDirectories) {
    ::inotify_rm_watch(fd_.get(), wd);
    throw_error(ErrorCode::resource_exhausted, "more than {} directories to watch: watch fewer",
                limits::kWatchedDirectories);
  }
  directories_.try_emplace(wd);
  ++budget_->directories;
  if (parent != kNone) attach(wd, parent, name);
  return {wd, true};
}

// Whether the place where we believe a directory to be is the same directory as `path`.
bool WatchTree::leads_to_same(Wd directory, const std::string& path) const {
  const bool has_place = directory == root_ || directories_.at(directory).name != nullptr;
  struct stat known{}, found{};
  return has_place && ::stat(absolute(directory).c_str(), &known) == 0 && ::stat(path.c_str(), &found) == 0 &&
         known.st_dev == found.st_dev && known.st_ino == found.st_ino;
}

void WatchTree::attach(Wd directory, Wd parent, std::string_view name) {
  detach(directory);
  if (moving_ && moving_->directory == directory) moving_.reset();
  if (const Wd former = child(parent, name); former != kNone) forget(former, true);
  const auto place = directories_.at(parent).children.try_emplace(std::string(name), directory).first;
  Directory& it = directories_.at(directory);
  it.parent = parent;
  it.name = &place->first;
}

void WatchTree::detach(Wd directory) {
  Directory& it = directories_.at(directory);
  if (it.name == nullptr) return;
  auto& siblings = directories_.at(it.parent).children;
  siblings.erase(siblings.find(*it.name));
  it.name = nullptr;
  it.parent = kNone;
}

// With all that is below it. The kernel has ended the watch of `directory` itself already unless `unwatch`.
void WatchTree::forget(Wd directory, bool unwatch) {
  detach(directory);
  std::vector<Wd> gone{directory};
  for (std::size_t i = 0; i < gone.size(); ++i) {
    const auto found = directories_.find(gone[i]);
    for (const auto& [name, below] : found->second.children) gone.push_back(below);
    if (i > 0 || unwatch) ::inotify_rm_watch(fd_.get(), gone[i]);
    directories_.erase(found);
    --budget_->directories;
  }
  if (!directories_.contains(root_)) root_ = kNone;
  if (moving_ && !directories_.contains(moving_->directory)) moving_.reset();
}

bool WatchTree::is_above(Wd directory, Wd other) const {
  for (; other != kNone; other = directories_.at(other).parent)
    if (other == directory) return true;
  return false;
}

WatchTree::Wd WatchTree::child(Wd parent, std::string_view name) const {
  const auto& children = directories_.at(parent).children;
  const auto found = children.find(name);
  return found == children.end() ? kNone : found->second;
}

// "." for the root itself.
std::string WatchTree::relative(Wd directory, std::string_view name) const {
  std::vector<std::string_view> parts;
  if (!name.empty()) parts.push_back(name);
  for (Wd at = directory; at != kNone; at = directories_.at(at).parent)
    if (const std::string* own = directories_.at(at).name) parts.push_back(*own);
  std::string path;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!path.empty()) path += '/';
    path += *part;
  }
  return path.empty() ? "." : path;
}

std::string WatchTree::absolute(Wd directory, std::string_view name) const {
  if (directory == kNone || (directory == root_ && name.empty())) return options_.path;
  return (options_.path == "/" ? "" : options_.path) + "/" + relative(directory, name);
}

// --- looking into new directories ---

// Of what is mounted below the root: not the kernel's own, which has thousands of directories and tells
// nothing (a watch of
// "/"), and of the network only what may be.
bool WatchTree::crosses_into(const std::string& path) const {
  const FileSystem system = file_system_of(path);
  return system == FileSystem::ordinary || (system == FileSystem::network && options_.network_mounts);
}

// Watches what is below `top` and not watched yet, and tells of what it finds there. Of the content of
// directories that were watched before nothing is told, unless they are `top`.
void WatchTree::scan(Wd top, Tell tell_of_top) {
  struct Step {
    Wd directory;
    Tell tell;
  };
  const bool first = root_ == top && batch_ == nullptr;  // while the watch begins nothing is news
  std::vector<Step> todo{{top, tell_of_top}};
  while (!todo.empty()) {
    const Step step = todo.back();
    todo.pop_back();
    const std::string path = absolute(step.directory);
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (step.directory == root_ ? 0 : O_NOFOLLOW);
    const int raw = ::open(path.c_str(), flags);
    const std::unique_ptr<DIR, int (*)(DIR*)> listed(raw < 0 ? nullptr : ::fdopendir(raw), ::closedir);
    if (!listed) {
      if (raw >= 0) ::close(raw);
      continue;
    }
    struct stat own{};
    if (::fstat(raw, &own) != 0) continue;
    while (const dirent* item = ::readdir(listed.get())) {
      const std::string_view name = item->d_name;
      if (name == "." || name == ".." || is_temporary(name)) continue;
      struct stat info{};
      const bool tell_it = step.tell == Tell::everything;
      if ((tell_it || item->d_type == DT_UNKNOWN) &&
          ::fstatat(raw, item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      const bool is_directory =
          item->d_type == DT_UNKNOWN || tell_it ? S_ISDIR(info.st_mode) : item->d_type == DT_DIR;
      if (tell_it && scanned_.emplace(step.directory, name).second) {
        tell("EVENT_TYPE_CREATE", step.directory, name, true);
        if (S_ISREG(info.st_mode) && info.st_size > 0) tell("EVENT_TYPE_WRITE", step.directory, name, true);
      }
      if (!is_directory) continue;
      if (::fstatat(raw, item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (info.st_dev != own.st_dev && !crosses_into(absolute(step.directory, name))) continue;
      if (const Wd known = child(step.directory, name); known != kNone) {
        todo.push_back({known, Tell::nothing});
      } else if (const auto [added, is_new] = add(step.directory, name); added != kNone) {
        todo.push_back({added, first || !is_new ? Tell::nothing : Tell::everything});
      }
    }
  }
  if (!scanned_.empty()) scanned_until_ = read_bytes_ + queued();
}

bool WatchTree::was_scanned(Wd directory, std::string_view name) {
  return !scanned_.empty() && scanned_.erase({directory, std::string(name)}) > 0;
}

// --- what the kernel tells ---

void WatchTree::handle(const inotify_event& event, std::string_view name) {
  if (event.mask & IN_Q_OVERFLOW) throw_lost("more at a time than fs.inotify.max_queued_events");
  if (moving_ && !((event.mask & IN_MOVED_TO) && event.cookie == moving_->cookie))
    forget(moving_->directory, true);
  if (!directories_.contains(event.wd)) return;  // watched no longer
  if (event.len == 0) return handle_self(event);
  if (is_temporary(name)) {
    if ((event.mask & IN_MOVED_FROM) && is_upload(name)) {
      upload_cookie_ = event.cookie;
      upload_is_new_ = name.starts_with(kNewUploadPrefix);
    }
    return;
  }
  if (event.mask & (IN_CREATE | IN_MOVED_TO)) return appeared(event, name);
  if (event.mask & (IN_DELETE | IN_MOVED_FROM)) return departed(event, name);
  if (event.mask & IN_MODIFY) tell("EVENT_TYPE_WRITE", event.wd, name, true);
  if (event.mask & IN_ATTRIB) tell("EVENT_TYPE_CHMOD", event.wd, name, true);
}

// A watched directory's word of itself. What happens to one below the root its parent tells, too.
void WatchTree::handle_self(const inotify_event& event) {
  if (event.wd == root_) {
    if (event.mask & IN_ATTRIB) tell("EVENT_TYPE_CHMOD", root_, {}, true);
    if (event.mask & (IN_DELETE_SELF | IN_UNMOUNT)) tell("EVENT_TYPE_REMOVE", root_, {}, false);
    if (event.mask & IN_MOVE_SELF) {
      tell("EVENT_TYPE_RENAME", root_, {}, false);
      forget(root_, true);  // its path leads elsewhere now, or nowhere
      return;
    }
  }
  if (event.mask & IN_IGNORED) forget(event.wd, false);
}

void WatchTree::appeared(const inotify_event& event, std::string_view name) {
  const bool is_uploaded = (event.mask & IN_MOVED_TO) && event.cookie == upload_cookie_;
  const bool is_news = !was_scanned(event.wd, name) && (!is_uploaded || upload_is_new_);
  if (is_news) tell("EVENT_TYPE_CREATE", event.wd, name, true);
  if (is_uploaded) tell("EVENT_TYPE_WRITE", event.wd, name, true);
  if (options_.recursive && (event.mask & IN_ISDIR)) directory_appeared(event, name);
}

void WatchTree::directory_appeared(const inotify_event& event, std::string_view name) {
  if (moving_) {
    const Wd moved = moving_->directory;
    moving_.reset();
    if (!is_above(moved, event.wd)) {
      attach(moved, event.wd, name);
      // Directories that were made in it just before could not be found by its old path.
      scan(moved, Tell::nothing);
      return;
    }
    forget(moved, true);
    if (!directories_.contains(event.wd)) return;
  }
  if (child(event.wd, name) != kNone) return;  // a scan was faster
  const auto [added, is_new] = add(event.wd, name);
  if (added != kNone) scan(added, is_new ? Tell::everything : Tell::nothing);
}

void WatchTree::departed(const inotify_event& event, std::string_view name) {
  was_scanned(event.wd, name);
  const bool is_moved = (event.mask & IN_MOVED_FROM) != 0;
  tell(is_moved ? "EVENT_TYPE_RENAME" : "EVENT_TYPE_REMOVE", event.wd, name, false);
  const Wd directory = child(event.wd, name);
  if (directory == kNone) return;
  if (!is_moved) return forget(directory, true);
  detach(directory);
  moving_ = Moving{event.cookie, directory};
}

void WatchTree::tell(std::string_view type, Wd directory, std::string_view name, bool with_entry) {
  if (batch_->events.size() >= limits::kWatchBatchEvents) throw_lost("more at a time than can be told");
  api::envd::FilesystemEvent event;
  event.type = type;
  event.name = relative(directory, name);
  if (with_entry && options_.with_entries) {
    if (!owners_) owners_.emplace();
    try {
      event.entry = find_entry(absolute(directory, name), *owners_);
    } catch (const Error&) {  // it is there and cannot be looked at: then without
    }
  }
  batch_->events.push_back(json::to_json(event));
}

}  // namespace wrenn::envd::files
