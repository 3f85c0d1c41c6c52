#include "agent/disk/dm_snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "agent/limits.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/device_mapper.h"
#include "linux/fd.h"
#include "linux/file.h"
#include "linux/loop_device.h"

// Loop devices here belong to nobody: they are attached with "auto clear" and released at once, so each lives
// exactly as long as a device-mapper table holds it. There is nothing to count and nothing to detach, and a
// crash leaves nothing behind.

namespace wrenn::agent::disk {

namespace {

constexpr unsigned kChunkSectors = 8;  // 4 KiB
constexpr std::uint64_t kChunkBytes = kChunkSectors * sys::kSectorBytes;
constexpr std::uint64_t kExceptionBytes =
    16;  // kernel: drivers/md/dm-snap-persistent.c, struct disk_exception

// Keeps the device attached for the scope: release() leaves the rest to the kernel, on every path.
class BorrowedLoop {
 public:
  explicit BorrowedLoop(sys::LoopDevice loop) : loop_(std::move(loop)) {}
  ~BorrowedLoop() { loop_.release(); }
  BorrowedLoop(BorrowedLoop&&) = default;
  const std::string& path() const noexcept { return loop_.path(); }

 private:
  sys::LoopDevice loop_;
};

std::optional<std::string> find_origin_loop(const std::string& image) {
  for (const sys::LoopInfo& loop : sys::list_loop_devices())
    if (loop.backing_file == image && loop.read_only && loop.auto_clear) return loop.path;
  return std::nullopt;
}

BorrowedLoop origin_loop(const std::string& image) {
  if (const auto path = find_origin_loop(image)) {
    if (auto loop = sys::LoopDevice::adopt(*path)) {
      BorrowedLoop borrowed(std::move(*loop));
      // Between looking and opening it may have become somebody else's; from now on it cannot.
      if (find_origin_loop(image) == *path) return borrowed;
    }
  }
  sys::LoopOptions options;
  options.read_only = true;
  options.auto_clear = true;
  return BorrowedLoop(sys::LoopDevice::attach(image, options));
}

bool same_file(const std::string& one, const std::string& other) {
  struct stat first{};
  struct stat second{};
  return ::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// The files below a device, as its table names them ("MAJOR:MINOR MAJOR:MINOR PO 8"): image, then CoW file.
std::vector<std::string> files_below(const sys::DmDevice& device) {
  const auto targets = device.table();
  if (targets.size() != 1 || targets[0].type != "snapshot") return {};
  std::vector<std::string> files;
  for (std::string_view word : split(targets[0].text, ' ')) {
    if (files.size() == 2) break;
    if (!word.starts_with("7:")) return {};
    const auto loops = sys::list_loop_devices();
    const auto at = std::find_if(loops.begin(), loops.end(), [&](const sys::LoopInfo& loop) {
      return loop.path == fmt::format("/dev/loop{}", word.substr(2));
    });
    if (at == loops.end()) return {};
    files.push_back(at->backing_file);
  }
  return files;
}

sys::DmSnapshotStore store_of(const sys::DmDevice& device, const DiskRecord& record) {
  const auto targets = device.status();
  if (targets.size() != 1 || targets[0].type != "snapshot")
    throw_error(ErrorCode::internal, "{} is no snapshot device", device.path());
  const auto store = sys::parse_snapshot_status(targets[0].text);
  if (store.state == sys::DmSnapshotStore::State::invalid)
    throw_error(
        ErrorCode::data_loss,
        "the disk of sandbox {} is lost: {} could not be written, probably because the host's disk was "
        "full, and the kernel has marked it as invalid; destroy the sandbox, or resume it from a "
        "snapshot",
        record.sandbox_id, record.cow_path);
  return store;
}

// Whether [from, from + bytes) of the file now has blocks, so that writing there cannot fail for want of
// room. Before `from` the file is full, so what it takes beyond that it has taken ahead.
bool take_room(const sys::Fd& file, std::uint64_t from, std::uint64_t bytes, const std::string& path) {
  const std::uint64_t wanted = from + bytes;
  const std::uint64_t missing = wanted - std::min(wanted, sys::allocated_bytes(file));
  // An fallocate that fails keeps the blocks that it did find, so it must not be tried.
  if (missing > 0 && sys::free_disk_bytes(path) < missing + limits::kDiskLeaveBytes) return false;
  while (::fallocate(file.get(), 0, static_cast<off_t>(from), static_cast<off_t>(bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno == ENOSPC || errno == EDQUOT) return false;
    if (errno == EOPNOTSUPP) return true;  // a file system that cannot promise; nothing to be done
    throw_errno("take room for {}", path);
  }
  return true;
}

}  // namespace

std::string dm_name(const std::string& sandbox_id) {
  return "wrenn-" + sandbox_id;
}

std::uint64_t dm_cow_bytes(std::uint64_t image_bytes) noexcept {
  const std::uint64_t chunks = (image_bytes + kChunkBytes - 1) / kChunkBytes;
  const std::uint64_t per_area = kChunkBytes / kExceptionBytes;  // exceptions in one metadata chunk
  const std::uint64_t areas = (chunks + per_area - 1) / per_area + 1;
  return (1 + areas + chunks) * kChunkBytes;
}

void open_dm_snapshot(const DiskRecord& record) {
  const std::string name = dm_name(record.sandbox_id);
  if (auto existing = sys::DmDevice::adopt(name)) {
    ScopeGuard keep([&] { existing->release(); });
    const auto files = files_below(*existing);
    if (files.size() != 2 || !same_file(files[0], record.image) || !same_file(files[1], record.cow_path))
      throw_error(ErrorCode::already_exists,
                  "{} is not over {} and {}: it belongs to somebody else (dmsetup table {})",
                  existing->path(), record.image, record.cow_path, name);
    (void)store_of(*existing, record);
    return;
  }
  const BorrowedLoop origin = origin_loop(record.image);
  sys::LoopOptions options;
  options.auto_clear = true;
  const BorrowedLoop cow(sys::LoopDevice::attach(record.cow_path, options));
  const auto target =
      sys::snapshot_target(record.image_bytes / sys::kSectorBytes, origin.path(), cow.path(), kChunkSectors);
  auto device = sys::DmDevice::create(name, {target});
  (void)store_of(device, record);  // a store that was given up is accepted by the kernel, and then useless
  device.release();
}

StoreLevel reserve_dm_store(const DiskRecord& record) {
  auto device = sys::DmDevice::adopt(dm_name(record.sandbox_id));
  if (!device) {
    errno = ENXIO;
    throw_errno("look at the disk of sandbox {}", record.sandbox_id);
  }
  ScopeGuard keep([&] { device->release(); });
  const auto store = store_of(*device, record);
  // Its size takes every chunk of the image, so it can only be the file of another wrenn that overflows.
  if (store.state == sys::DmSnapshotStore::State::overflowed) return {StoreRoom::none, 0, 0, 0};
  StoreLevel level{StoreRoom::ample, store.used_bytes, store.total_bytes};
  const std::uint64_t rest = store.total_bytes - std::min(store.used_bytes, store.total_bytes);
  if (rest == 0) return level;
  const sys::Fd file = sys::open_file(record.cow_path, O_RDWR);
  if (!take_room(file, store.used_bytes, std::min(rest, kStoreAheadBytes), record.cow_path))
    level.room = take_room(file, store.used_bytes, std::min(rest, kStoreLowBytes), record.cow_path)
                     ? StoreRoom::low
                     : StoreRoom::none;
  level.free_bytes = sys::free_disk_bytes(record.cow_path);
  return level;
}

std::optional<std::uint64_t> dm_store_used(const DiskRecord& record) {
  auto device = sys::DmDevice::adopt(dm_name(record.sandbox_id));
  if (!device) return std::nullopt;
  ScopeGuard keep([&] { device->release(); });
  try {
    return store_of(*device, record).used_bytes;
  } catch (const SystemError&) {
    throw;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void close_dm_snapshot(const DiskRecord& record) {
  const std::string name = dm_name(record.sandbox_id);
  const std::uint64_t used = dm_store_used(record).value_or(0);
  sys::remove_dm_device(name);
  const auto file = used > 0 ? sys::try_open_file(record.cow_path, O_RDWR) : std::nullopt;
  if (!file) return;
  // Nobody writes any more, so what was used then is all that is used.
  const std::uint64_t end = sys::file_size(*file);
  if (end > used)
    (void)::fallocate(file->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(used),
                      static_cast<off_t>(end - used));
}

}  // namespace wrenn::agent::disk
