#include "agent/disk/root_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "agent/disk/dm_snapshot.h"
#include "agent/disk/qcow2.h"
#include "agent/limits.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "linux/device_mapper.h"
#include "linux/fd.h"
#include "linux/file.h"
#include "linux/loop_device.h"

namespace wrenn::agent::disk {

namespace {

constexpr std::string_view kDevicePrefix = "wrenn-";
constexpr std::uint64_t kSector = sys::kSectorBytes;
constexpr mode_t kLayerMode = 0400;  // nobody opens it for writing any more

std::uint64_t image_size(const std::string& image) {
  const auto file = sys::try_open_file(image, O_RDONLY);
  if (!file)
    throw_error(ErrorCode::data_loss,
                "the image {} is gone; build it again with the same inputs, or destroy the sandbox", image);
  const std::uint64_t bytes = sys::file_size(*file);
  if (bytes == 0 || bytes % kSector != 0)
    throw_error(ErrorCode::data_loss, "the image {} has {} bytes, which is no disk: build it again", image,
                bytes);
  return bytes;
}

const std::string& backing_of(const DiskRecord& record) {
  return record.layers.empty() ? record.image : record.layers.back();
}

void write_qcow2(const sys::Fd& file, const DiskRecord& record) {
  const Qcow2Layout layout =
      plan_qcow2(record.size_bytes, backing_of(record), record.layers.empty() ? "raw" : "qcow2");
  if (::ftruncate(file.get(), static_cast<off_t>(layout.file_bytes)) != 0)
    throw_errno("size {}", record.cow_path);
  for (const Qcow2Piece& piece : layout.pieces)
    sys::pwrite_full(file, std::as_bytes(std::span(piece.bytes.data(), piece.bytes.size())), piece.offset);
}

void check_qcow2(const DiskRecord& record, const sys::Fd& file) {
  const std::string head = sys::read_up_to(file, kQcow2HeadBytes);
  const auto summary = parse_qcow2_head(head);
  // What a merge has just finished lies on the image, and its record may not say so yet: with the layers in
  // between it has the same content.
  const bool fits = summary && summary->virtual_bytes == record.size_bytes &&
                    (summary->backing_file == backing_of(record) || summary->backing_file == record.image);
  if (!fits)
    throw_error(ErrorCode::data_loss, "{} is not the disk of sandbox {} any more: its header was changed",
                record.cow_path, record.sandbox_id);
}

}  // namespace

std::string_view to_string(DiskKind kind) noexcept {
  return kind == DiskKind::qcow2 ? "qcow2" : "dm_snapshot";
}

std::optional<DiskKind> from_string(std::string_view text, DiskKind*) noexcept {
  if (text == "qcow2") return DiskKind::qcow2;
  if (text == "dm_snapshot") return DiskKind::dm_snapshot;
  return std::nullopt;
}

DiskKindAnswer find_disk_kind() noexcept {
  try {
    if (!sys::loop_devices_available())
      return {DiskKind::qcow2, "no loop devices here (/dev/loop-control does not open): run modprobe loop"};
    if (std::string problem = sys::device_mapper_problem({"snapshot"}); !problem.empty())
      return {DiskKind::qcow2, problem};
    return {DiskKind::dm_snapshot, "device-mapper snapshots and loop devices work"};
  } catch (const std::exception& error) {
    return {DiskKind::qcow2, error.what()};
  }
}

DiskRecord create_disk(DiskKind kind, const DiskSpec& spec) {
  DiskRecord record;
  record.kind = kind;
  record.sandbox_id = spec.sandbox_id;
  record.image = spec.image;
  record.layers = spec.layers;
  record.cow_path = spec.cow_path;
  record.image_bytes = image_size(spec.image);
  record.size_bytes = record.image_bytes;
  if (kind == DiskKind::qcow2 && spec.size_bytes > record.image_bytes)
    record.size_bytes = spec.size_bytes / kSector * kSector;

  if (kind == DiskKind::qcow2) return lay_over(record, spec.sandbox_id, spec.cow_path);
  ScopeGuard remove_file([&] { ::unlink(record.cow_path.c_str()); });
  if (record.layers.empty()) {
    (void)sys::create_sparse_file(record.cow_path, dm_cow_bytes(record.image_bytes));
  } else {
    record = lay_over(record, spec.sandbox_id, spec.cow_path);
  }
  open_dm_snapshot(record);
  remove_file.dismiss();
  return record;
}

void open_disk(const DiskRecord& record) {
  const std::uint64_t bytes = image_size(record.image);
  if (bytes != record.image_bytes)
    throw_error(ErrorCode::data_loss,
                "the image {} has {} bytes, but had {} when sandbox {} was made from it: images must never "
                "be changed",
                record.image, bytes, record.image_bytes, record.sandbox_id);
  for (const std::string& layer : record.layers)
    if (!sys::exists(layer))
      throw_error(ErrorCode::data_loss, "a layer of the disk of sandbox {} is gone: {}", record.sandbox_id,
                  layer);
  const auto file = sys::try_open_file(record.cow_path, O_RDONLY);
  if (!file)
    throw_error(ErrorCode::data_loss, "the disk of sandbox {} is gone: {}", record.sandbox_id,
                record.cow_path);
  if (record.kind == DiskKind::qcow2) {
    check_qcow2(record, *file);
  } else {
    open_dm_snapshot(record);
  }
}

vmm::DiskSource disk_source(const DiskRecord& record) {
  if (record.kind == DiskKind::dm_snapshot)
    return {vmm::DiskFormat::raw, "/dev/mapper/" + dm_name(record.sandbox_id), {}};
  vmm::DiskSource source{vmm::DiskFormat::qcow2, record.cow_path, {record.image}};
  source.backing.insert(source.backing.end(), record.layers.begin(), record.layers.end());
  return source;
}

void release_disk(const DiskRecord& record) {
  if (record.kind == DiskKind::dm_snapshot) close_dm_snapshot(record);
}

void destroy_disk(const DiskRecord& record) {
  release_disk(record);
  if (::unlink(record.cow_path.c_str()) != 0 && errno != ENOENT) throw_errno("remove {}", record.cow_path);
}

static DiskRecord frozen(DiskRecord record, const std::string& layer) {
  if (record.kind == DiskKind::dm_snapshot) record.layers.clear();
  record.layers.push_back(layer);
  record.cow_path.clear();
  return record;
}

DiskRecord freeze_by_copy(const DiskRecord& record, const std::string& layer) {
  sys::copy_sparse(record.cow_path, layer, kLayerMode, limits::kDiskLeaveBytes);
  return frozen(record, layer);
}

DiskRecord freeze_by_link(const DiskRecord& record, const std::string& layer) {
  if (::link(record.cow_path.c_str(), layer.c_str()) != 0)
    throw_errno("link {} to {}", record.cow_path, layer);
  return frozen(record, layer);
}

DiskRecord plan_overlay(const DiskRecord& frozen, const std::string& sandbox_id,
                        const std::string& cow_path) {
  DiskRecord record = frozen;
  record.sandbox_id = sandbox_id;
  record.cow_path = cow_path;
  return record;
}

void make_overlay(const DiskRecord& record) {
  const sys::Fd file = sys::create_sparse_file(record.cow_path, 0);
  ScopeGuard remove_file([&] { ::unlink(record.cow_path.c_str()); });
  write_qcow2(file, record);
  remove_file.dismiss();
}

DiskRecord lay_over(const DiskRecord& frozen, const std::string& sandbox_id, const std::string& cow_path) {
  DiskRecord record = plan_overlay(frozen, sandbox_id, cow_path);
  if (record.kind == DiskKind::qcow2) {
    make_overlay(record);
  } else {
    sys::copy_sparse(record.layers.back(), cow_path, 0600, limits::kDiskLeaveBytes);
    record.layers.clear();
  }
  return record;
}

std::uint64_t allocated_bytes(const DiskRecord& record) {
  const std::uint64_t bytes = sys::allocated_bytes(record.cow_path);
  if (record.kind != DiskKind::dm_snapshot) return bytes;
  // Without what was only taken ahead.
  return std::min(bytes, dm_store_used(record).value_or(bytes));
}

std::vector<std::string> list_leftover_devices() {
  if (!sys::device_mapper_problem({}).empty()) return {};
  std::vector<std::string> ids;
  for (const std::string& name : sys::list_dm_devices(kDevicePrefix))
    ids.push_back(name.substr(kDevicePrefix.size()));
  return ids;
}

void remove_leftover_device(const std::string& sandbox_id) {
  if (!sys::device_mapper_problem({}).empty()) return;
  sys::remove_dm_device(dm_name(sandbox_id));
}

}  // namespace wrenn::agent::disk
