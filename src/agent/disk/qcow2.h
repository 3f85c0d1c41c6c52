// Writes the metadata of an empty qcow2 file over a raw image (format: qemu.org docs/interop/qcow2.txt),
// which saves a process of qemu-img (15 ms) at every create.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::agent::disk {

struct Qcow2Piece {
  std::uint64_t offset = 0;
  std::string bytes;
};

struct Qcow2Layout {
  std::vector<Qcow2Piece> pieces;  // everything between them is zero
  std::uint64_t file_bytes = 0;
};

// Throws Error(invalid_argument) for a size that is no multiple of 512 or above 16 TiB, and for a path that
// does not fit.
// `backing_format` is "raw" or "qcow2".
Qcow2Layout plan_qcow2(std::uint64_t virtual_bytes, const std::string& backing_file,
                       std::string_view backing_format = "raw");

// What open_disk() compares. Absent when `head`, the first kQcow2HeadBytes of a file, is no qcow2 file of
// this kind.
inline constexpr std::size_t kQcow2HeadBytes = 4096;
struct Qcow2Summary {
  std::uint64_t virtual_bytes = 0;
  std::string backing_file;
};
std::optional<Qcow2Summary> parse_qcow2_head(std::string_view head);

}  // namespace wrenn::agent::disk
