#include "agent/disk/dm_snapshot.h"

#include "core/base/error.h"
#include "linux/device_mapper.h"
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
    existing->release();
    return;
  }
  const BorrowedLoop origin = origin_loop(record.image);
  sys::LoopOptions options;
  options.auto_clear = true;
  const BorrowedLoop cow(sys::LoopDevice::attach(record.cow_path, options));
  const auto target =
      sys::snapshot_target(record.image_bytes / sys::kSectorBytes, origin.path(), cow.path(), kChunkSectors);
  auto device = sys::DmDevice::create(name, {target});
  device.release();
}

}  // namespace wrenn::agent::disk
