// The root disk of a sandbox: an immutable image and, in a sparse file of the sandbox, what it changed.
//
//   dm_snapshot   image ─ loop (read-only, shared) ─┐
//                 CoW file ─ loop ──────────────────┴─ /dev/mapper/wrenn-ID ─ raw disk of the VMM
//   qcow2         image ─ backing file of ─ CoW file (qcow2) ─ disk of the VMM
//
// Between image and CoW file may lie layers: CoW files of earlier moments that are not written any more and
// may be shared. Freezing a disk makes its CoW file of now the top layer; what goes on from there (a clone,
// the sandbox itself) gets an empty CoW file over it. Under qcow2 that is a chain of files, and freezing
// costs a hard link; a device-mapper snapshot has no such chain, so its CoW file is copied (by reflink where
// the file system can).
//
// The first keeps QEMU's block layer out of the path and is what production uses; the second needs nothing of
// the kernel. Either way the image is never written, the CoW file can hold every block of the disk, and it
// outlives the kernel objects: release() takes those down, open() brings them back, both as often as wanted.
//
// All functions block for some milliseconds and belong on a thread of the sys pool. They throw SystemError
// and Error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/vmm/machine.h"
#include "core/json/fields.h"

namespace wrenn::agent::disk {

enum class DiskKind { dm_snapshot, qcow2 };
std::string_view to_string(DiskKind kind) noexcept;
std::optional<DiskKind> from_string(std::string_view text, DiskKind*) noexcept;

struct DiskKindAnswer {
  DiskKind kind = DiskKind::qcow2;
  std::string why;  // "dm-snapshot is not available: …": for the log and `wrenn doctor`
};
// What this machine can do; looks, and loads no module. Does not throw.
DiskKindAnswer find_disk_kind() noexcept;

struct DiskSpec {
  std::string sandbox_id;
  std::string image;     // absolute path of the immutable generation, not of the link to it
  std::string cow_path;  // DIR/sandboxes/ID.cow
  // A disk is never smaller than its image. What is asked beyond that the guest sees as unpartitioned space
  // at the end of /dev/vda under qcow2, where it costs nothing (the file system in the image does not grow);
  // dm_snapshot devices always have the image's size.
  std::uint64_t size_bytes = 0;
  // Of a frozen disk, whose size this one must have: what is between the image and the new CoW file.
  std::vector<std::string> layers;
};

// Everything needed to open the disk again; kept in the journal and in a snapshot's manifest.
struct DiskRecord {
  DiskKind kind = DiskKind::qcow2;
  std::string sandbox_id;
  std::string image;
  std::vector<std::string> layers;  // from the image upwards; dm_snapshot: none, or the one of a frozen disk
  std::string cow_path;             // empty: frozen
  std::uint64_t image_bytes = 0;    // checked at open(): an image that changed is refused, not used
  std::uint64_t size_bytes = 0;
  static constexpr auto kFields =
      json::fields(json::field("kind", &DiskRecord::kind, json::kRequired),
                   json::field("sandboxId", &DiskRecord::sandbox_id, json::kRequired),
                   json::field("image", &DiskRecord::image, json::kRequired),
                   json::field("layers", &DiskRecord::layers, json::kOmitEmpty),
                   json::field("cowPath", &DiskRecord::cow_path, json::kRequired),
                   json::field("imageBytes", &DiskRecord::image_bytes, json::kRequired),
                   json::field("sizeBytes", &DiskRecord::size_bytes, json::kRequired));
};

// A new disk, empty over its image, ready for use by the VMM at source(). Error(already_exists) when the CoW
// file exists. Nothing is left behind on failure.
DiskRecord create_disk(DiskKind kind, const DiskSpec& spec);
// Makes an existing disk usable again after release() or a restart of the machine. Idempotent: what is still
// set up is kept. Throws Error(data_loss) when image or CoW file is missing or not what the record says.
void open_disk(const DiskRecord& record);
// What the VMM opens; after create_disk() or open_disk().
vmm::DiskSource disk_source(const DiskRecord& record);
// Takes down what the kernel holds and keeps the data. Idempotent. EBUSY while a VMM has it open.
void release_disk(const DiskRecord& record);
// release_disk() and deletes the CoW file. Idempotent.
void destroy_disk(const DiskRecord& record);
// What the sandbox's changes take on the host's disk.
std::uint64_t allocated_bytes(const DiskRecord& record);

// Freezing, in two ways. Both leave the disk's content of now in `layer`, a new file, and give what a clone
// lies over
// (`cow_path` empty). The VMM must not be writing.
//
// While a sandbox stands on disk, or under dm_snapshot: a copy.
DiskRecord freeze_by_copy(const DiskRecord& record, const std::string& layer);
// Under qcow2, of a machine that will run on: the file itself becomes the layer. The machine must be given an
// overlay before it runs on (make_overlay(), Machine::push_overlay), and the file's old name may go then.
DiskRecord freeze_by_link(const DiskRecord& record, const std::string& layer);
// The record of the machine's disk after that: `cow_path` over the frozen disk. And its file, which must not
// exist.
DiskRecord plan_overlay(const DiskRecord& frozen, const std::string& sandbox_id, const std::string& cow_path);
void make_overlay(const DiskRecord& record);
// Both in one, for a disk of either kind that nobody uses yet: its own file over a frozen disk. Nothing is
// left behind on failure.
DiskRecord lay_over(const DiskRecord& frozen, const std::string& sandbox_id, const std::string& cow_path);

// Sandbox ids of device-mapper devices that carry our marker, for the sweep at the agent's start.
std::vector<std::string> list_leftover_devices();
// Removes such a device; its loop devices go with it. Idempotent.
void remove_leftover_device(const std::string& sandbox_id);

}  // namespace wrenn::agent::disk
