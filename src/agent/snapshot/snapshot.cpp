#include "agent/snapshot/snapshot.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <memory>

#include "agent/snapshot/memory_file.h"
#include "core/base/clock.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/crypto/hash.h"
#include "linux/file.h"

namespace wrenn::agent::snapshot {

namespace {

constexpr std::string_view kDraftPrefix = ".draft-";
constexpr const char* kManifest = "/manifest.json";
constexpr const char* kRetired = "/retired.json";
constexpr const char* kMemory = "/memory";
constexpr const char* kDeviceState = "/device-state";
constexpr std::size_t kManifestBytes = 64 * 1024;
constexpr std::size_t kDeviceStateBytes = 64 * 1024 * 1024;  // QEMU's is below 10 KiB with one vCPU

void fsync_file(const std::string& path) {
  const sys::Fd file = sys::open_file(path, O_RDONLY);
  if (::fsync(file.get()) != 0) throw_errno("make {} durable", path);
}

std::vector<std::string> list_names(const std::string& path) {
  struct Close {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
  };
  std::vector<std::string> names;
  const std::unique_ptr<DIR, Close> directory(::opendir(path.c_str()));
  if (!directory) {
    if (errno == ENOENT) return names;
    throw_errno("list {}", path);
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

// Puts `fresh` in the place of `place` and what was there in the place of `fresh`, in one step where the file
// system can.
void exchange(const std::string& fresh, const std::string& place) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) throw_errno("put {} in the place of {}", fresh, place);
  const std::string aside = fresh + ".old";
  if (::rename(place.c_str(), aside.c_str()) != 0) throw_errno("move {} aside", place);
  if (::rename(fresh.c_str(), place.c_str()) != 0) {
    const int saved = errno;
    ::rename(aside.c_str(), place.c_str());
    throw SystemError(saved, "rename " + fresh + " to " + place);
  }
  if (::rename(aside.c_str(), fresh.c_str()) != 0) throw_errno("rename {}", aside);
}

}  // namespace

Draft::Draft(std::string root, std::string id, sys::TempDir directory)
    : root_(std::move(root)), id_(std::move(id)), directory_(std::move(directory)) {
  state_ = sys::open_file(directory_.path() + kDeviceState, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

Draft Draft::begin(const std::string& root, const std::string& id) {
  sys::make_directories(root, 0700);
  return Draft(root, id, sys::TempDir::create(fmt::format("{}/{}{}-", root, kDraftPrefix, id)));
}

MemoryWritten Draft::write_memory(const vmm::MachineRecord& machine) {
  const sys::Fd file = sys::open_file(directory_.path() + kMemory, O_RDWR | O_CREAT | O_TRUNC, 0600);
  return write_memory_file(machine, file);
}

Snapshot Draft::commit(Manifest manifest) {
  const std::string& draft = directory_.path();
  const sys::Fd memory = sys::open_file(draft + kMemory, O_RDONLY);
  manifest.memory_bytes = sys::file_size(memory);
  manifest.memory_allocated_bytes = sys::allocated_bytes(memory);
  const std::string state = sys::read_file(draft + kDeviceState, kDeviceStateBytes);
  if (state.empty() || manifest.memory_bytes != static_cast<std::uint64_t>(manifest.memory_mib) << 20)
    throw_error(ErrorCode::internal,
                "the snapshot of {} is incomplete: {} bytes of memory, {} of device state", id_,
                manifest.memory_bytes, state.size());
  manifest.device_state_bytes = state.size();
  manifest.device_state_sha256 = hex_encode(crypto::sha256(state));
  if (manifest.created_at_us == 0) manifest.created_at_us = now().us;

  fsync_file(draft + kMemory);
  fsync_file(draft + kDeviceState);
  sys::write_file_atomic(draft + kManifest, json::to_json(manifest), 0600);  // and the directory with it

  const std::string place = root_ + "/" + id_;
  if (sys::exists(place)) {
    exchange(draft, place);
    sys::fsync_dir(root_);
    // What is at the draft's name now is the earlier snapshot: our destructor removes it.
  } else {
    if (::rename(draft.c_str(), place.c_str()) != 0) throw_errno("rename {} to {}", draft, place);
    (void)directory_.release();
    sys::fsync_dir(root_);
  }
  return {std::move(manifest), place};
}

std::optional<Snapshot> load(const std::string& root, const std::string& id) {
  const std::string directory = root + "/" + id;
  const auto text = sys::try_read_file(directory + kManifest, kManifestBytes);
  if (!text) return std::nullopt;
  Snapshot snapshot;
  snapshot.directory = directory;
  try {
    snapshot.manifest = json::from_json<Manifest>(*text);
  } catch (const Error& error) {
    throw_error(ErrorCode::data_loss, "the manifest of snapshot {} cannot be read: {}", id, error.what());
  }
  const Manifest& manifest = snapshot.manifest;
  if (manifest.format != kFormat)
    throw_error(ErrorCode::failed_precondition,
                "snapshot {} has format {}, this version of wrenn reads format {}: resume it with the "
                "version that wrote it",
                id, manifest.format, kFormat);
  const auto memory = sys::try_open_file(snapshot.memory_path(), O_RDONLY);
  if (!memory || sys::file_size(*memory) != manifest.memory_bytes ||
      manifest.memory_bytes != static_cast<std::uint64_t>(manifest.memory_mib) << 20)
    throw_error(ErrorCode::data_loss, "the memory of snapshot {} is missing or has the wrong size", id);
  const auto state = sys::try_read_file(snapshot.device_state_path(), kDeviceStateBytes);
  if (!state || state->size() != manifest.device_state_bytes ||
      hex_encode(crypto::sha256(*state)) != manifest.device_state_sha256)
    throw_error(ErrorCode::data_loss, "the device state of snapshot {} is missing or was changed", id);
  return snapshot;
}

void check(const Manifest& manifest, const ResumeHost& host) {
  if (manifest.vmm_version != host.vmm_version)
    throw_error(
        ErrorCode::failed_precondition,
        "the snapshot was written by {}, and {} is installed; a saved machine only loads in the version that "
        "saved it: install that version again, or destroy the capsule",
        manifest.vmm_version, host.vmm_version);
  if (manifest.acceleration != host.acceleration)
    throw_error(
        ErrorCode::failed_precondition,
        "the snapshot was written under {} acceleration, and this host uses {}: resume it where {} works, or "
        "destroy the capsule",
        to_string(manifest.acceleration), to_string(host.acceleration), to_string(manifest.acceleration));
  if (manifest.cpu_model != host.cpu_model)
    throw_error(ErrorCode::failed_precondition,
                "the snapshot was written on the CPU {}, and this host has {}: resume it on a host with the "
                "former, or "
                "destroy the capsule",
                manifest.cpu_model, host.cpu_model);
}

void retire(const Snapshot& snapshot) {
  const std::string from = snapshot.directory + kManifest;
  if (::rename(from.c_str(), (snapshot.directory + kRetired).c_str()) != 0) {
    if (errno == ENOENT && sys::exists(snapshot.directory + kRetired)) return;
    throw_errno("retire snapshot {}", snapshot.directory);
  }
  sys::fsync_dir(snapshot.directory);
}

void remove(const std::string& root, const std::string& id) {
  // The manifest first: what a crash leaves behind is no snapshot then.
  if (::unlink((root + "/" + id + kManifest).c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    throw_errno("remove the manifest of snapshot {}", id);
  sys::remove_tree(root + "/" + id);
  const std::string draft = fmt::format("{}{}-", kDraftPrefix, id);
  for (const std::string& name : list_names(root))
    if (name.starts_with(draft)) sys::remove_tree(root + "/" + name);
}

std::vector<std::string> list(const std::string& root) {
  std::vector<std::string> ids;
  for (const std::string& name : list_names(root))
    if (name.front() != '.' && sys::exists(root + "/" + name + kManifest)) ids.push_back(name);
  return ids;
}

int sweep_drafts(const std::string& root) {
  int swept = 0;
  for (const std::string& name : list_names(root)) {
    if (!name.starts_with(kDraftPrefix)) continue;
    sys::remove_tree(root + "/" + name);
    ++swept;
  }
  return swept;
}

void create_empty_memory(const std::string& path, int memory_mib) {
  sys::create_sparse_file(path, static_cast<std::uint64_t>(memory_mib) << 20);
}

}  // namespace wrenn::agent::snapshot
