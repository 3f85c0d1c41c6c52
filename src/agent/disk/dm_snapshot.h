// The dm_snapshot kind of root disk: see root_disk.h. Same contracts as the functions there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/disk/root_disk.h"

namespace wrenn::agent::disk {

std::string dm_name(const std::string& sandbox_id);  // "wrenn-ID"

// Size of a CoW file that can take every chunk of an image, with the store's own metadata.
std::uint64_t dm_cow_bytes(std::uint64_t image_bytes) noexcept;

// Sets the device up over an existing CoW file; keeps one that is set up already.
void open_dm_snapshot(const DiskRecord& record);

}  // namespace wrenn::agent::disk
