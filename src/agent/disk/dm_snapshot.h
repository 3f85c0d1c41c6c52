// The dm_snapshot kind of root disk: see root_disk.h. Same contracts as the functions there.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "agent/disk/root_disk.h"

namespace wrenn::agent::disk {

std::string dm_name(const std::string& sandbox_id);  // "wrenn-ID"

// Size of a CoW file that can take every chunk of an image, with the store's own metadata.
std::uint64_t dm_cow_bytes(std::uint64_t image_bytes) noexcept;

// Sets the device up over an existing CoW file; keeps one of this image and this CoW file that is set up
// already. Throws Error(data_loss) when the kernel has given the CoW file up, Error(already_exists) when the
// device is over other files.
void open_dm_snapshot(const DiskRecord& record);

// What may be written before the host's disk must be looked at again.
//
// The CoW file is sparse. A write for which the host's disk has no room makes the kernel mark the whole CoW
// file as invalid: the sandbox's disk is lost. So room is taken ahead of what the store uses, and a machine
// that would outrun it must be stopped (not ended: it runs on when there is room again).
enum class StoreRoom {
  ample,  // kStoreAheadBytes, or up to the end of the file
  low,    // kStoreLowBytes: worth a warning, the host's disk is as good as full
  none,   // stop the machine
};
struct StoreLevel {
  StoreRoom room = StoreRoom::ample;
  std::uint64_t used_bytes = 0;
  std::uint64_t total_bytes = 0;
  // Free on the host's disk, beyond what was taken. As long as that is more than can be written between two
  // looks, nothing depends on what was taken.
  std::uint64_t free_bytes = std::numeric_limits<std::uint64_t>::max();
};
inline constexpr std::uint64_t kStoreAheadBytes = 128ULL << 20;
// A guest that writes more than this between two looks, on a host whose disk is full, outruns them: hence the
// looks are frequent when little is free (agent/limits.h).
inline constexpr std::uint64_t kStoreLowBytes = 64ULL << 20;

// Looks, and takes room ahead. Cheap when there is enough (two ioctls and an fallocate that changes nothing):
// call it before a machine starts and again and again while it runs. Throws Error(data_loss) when the kernel has
// given the CoW file up, SystemError when the device is not set up.
StoreLevel reserve_dm_store(const DiskRecord& record);

// What the store uses of its CoW file; absent when the device is not set up or the kernel has given it up.
// Throws SystemError.
std::optional<std::uint64_t> dm_store_used(const DiskRecord& record);

// Removes the device and gives back the room that reserve_dm_store() took and nobody used. Idempotent; EBUSY
// while somebody has it open.
void close_dm_snapshot(const DiskRecord& record);

}  // namespace wrenn::agent::disk
