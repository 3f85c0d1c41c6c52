#include "agent/disk/qcow2.h"

#include <concepts>

#include "core/base/error.h"

// The file, in clusters of 64 KiB:
//
//   0 header, extensions, name of the backing file   1 refcount table   2 refcount block   3 L1 table   4…
//   guest data
//
// No extended L2 entries, though a first write of 4 KiB would then not copy a whole cluster from the image:
// before QEMU 8.1 copy-on-read asserts on a cluster of which only parts are allocated ("skip_bytes < pnum",
// block/io.c) [seen with 7.2.22], and a merge of layers in a running machine is copy-on-read. Files of
// earlier versions have them; they are still opened, but nothing is merged into them.

namespace wrenn::agent::disk {

namespace {

constexpr std::uint32_t kMagic = 0x514649fb;  // "QFI\xfb"
constexpr std::uint32_t kVersion = 3;
constexpr unsigned kClusterBits = 16;
constexpr std::uint64_t kClusterBytes = 1ULL << kClusterBits;
constexpr std::uint64_t kL2EntryBytes = 8;
constexpr std::uint64_t kL2Coverage = kClusterBytes / kL2EntryBytes * kClusterBytes;
constexpr std::uint64_t kMaxVirtualBytes = 1ULL << 44;  // 16 TiB, as ext4 with blocks of 4 KiB
constexpr std::uint64_t kExtendedL2 = 1ULL << 4;        // incompatible feature bit
constexpr std::uint32_t kRefcountOrder = 4;             // 16 bits each
constexpr std::uint32_t kHeaderBytes = 104;
constexpr std::uint32_t kBackingFormat = 0xe2792aca;
constexpr std::size_t kMaxBackingNameBytes = 1023;

constexpr std::uint64_t kRefcountTable = 1 * kClusterBytes;
constexpr std::uint64_t kRefcountBlock = 2 * kClusterBytes;
constexpr std::uint64_t kL1Table = 3 * kClusterBytes;
constexpr std::uint64_t kL1EntryBytes = 8;

// Positions in the header.
constexpr std::size_t kBackingOffsetAt = 8;
constexpr std::size_t kBackingSizeAt = 16;
constexpr std::size_t kClusterBitsAt = 20;
constexpr std::size_t kSizeAt = 24;
constexpr std::size_t kIncompatibleAt = 72;

template <std::unsigned_integral T>
void append(std::string& out, T value) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
}

template <std::unsigned_integral T>
T read(std::string_view data, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(data[at + i]));
  return value;
}

}  // namespace

Qcow2Layout plan_qcow2(std::uint64_t virtual_bytes, const std::string& backing_file,
                       std::string_view backing_format) {
  if (virtual_bytes == 0 || virtual_bytes % 512 != 0 || virtual_bytes > kMaxVirtualBytes)
    throw_error(ErrorCode::invalid_argument, "a disk of {} bytes: must be a multiple of 512 up to {} GiB",
                virtual_bytes, kMaxVirtualBytes >> 30);
  if (backing_file.empty() || backing_file.size() > kMaxBackingNameBytes)
    throw_error(ErrorCode::invalid_argument, "the path of the image is longer than {} bytes: {}",
                kMaxBackingNameBytes, backing_file);
  const std::uint64_t l1_entries = (virtual_bytes + kL2Coverage - 1) / kL2Coverage;
  const std::uint64_t l1_clusters = (l1_entries * kL1EntryBytes + kClusterBytes - 1) / kClusterBytes;
  const std::uint64_t used_clusters = kL1Table / kClusterBytes + l1_clusters;
  std::string extensions;
  append(extensions, kBackingFormat);
  append(extensions, static_cast<std::uint32_t>(backing_format.size()));
  extensions += backing_format;
  extensions.resize((extensions.size() + 7) / 8 * 8, '\0');
  append(extensions, std::uint64_t{0});  // end of extensions: type 0, length 0

  std::string header;
  append(header, kMagic);
  append(header, kVersion);
  append(header, std::uint64_t{kHeaderBytes + extensions.size()});
  append(header, static_cast<std::uint32_t>(backing_file.size()));
  append(header, std::uint32_t{kClusterBits});
  append(header, virtual_bytes);
  append(header, std::uint32_t{0});  // no encryption
  append(header, static_cast<std::uint32_t>(l1_entries));
  append(header, kL1Table);
  append(header, kRefcountTable);
  append(header, std::uint32_t{1});  // cluster of refcount table
  append(header, std::uint32_t{0});  // no internal snapshots
  append(header, std::uint64_t{0});
  append(header, std::uint64_t{0});  // incompatible features
  append(header, std::uint64_t{0});  // compatible features
  append(header, std::uint64_t{0});  // autoclear features
  append(header, kRefcountOrder);
  append(header, kHeaderBytes);

  std::string refcount_table;
  append(refcount_table, kRefcountBlock);
  std::string refcounts;
  for (std::uint64_t i = 0; i < used_clusters; ++i) append(refcounts, std::uint16_t{1});

  Qcow2Layout layout;
  layout.pieces = {
      {0, header + extensions + backing_file}, {kRefcountTable, refcount_table}, {kRefcountBlock, refcounts}};
  layout.file_bytes = used_clusters * kClusterBytes;
  return layout;
}

std::optional<Qcow2Summary> parse_qcow2_head(std::string_view head) {
  if (head.size() < kHeaderBytes || read<std::uint32_t>(head, 0) != kMagic ||
      read<std::uint32_t>(head, 4) != kVersion || read<std::uint32_t>(head, kClusterBitsAt) != kClusterBits)
    return std::nullopt;
  // The dirty and corrupt bits may be set by a QEMU that was killed; it repairs that itself.
  constexpr std::uint64_t kHarmless = 0x3;
  if ((read<std::uint64_t>(head, kIncompatibleAt) & ~(kHarmless | kExtendedL2)) != 0) return std::nullopt;
  const auto name_at = read<std::uint64_t>(head, kBackingOffsetAt);
  const auto name_size = read<std::uint32_t>(head, kBackingSizeAt);
  if (name_size > kMaxBackingNameBytes || name_at > head.size() || name_size > head.size() - name_at)
    return std::nullopt;
  Qcow2Summary summary;
  summary.virtual_bytes = read<std::uint64_t>(head, kSizeAt);
  summary.backing_file = head.substr(name_at, name_size);
  return summary;
}

}  // namespace wrenn::agent::disk
