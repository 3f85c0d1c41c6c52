#include "agent/snapshot/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <memory>

#include "core/base/clock.h"
#include "core/base/crash_point.h"
#include "core/base/error.h"
#include "linux/file.h"

namespace wrenn::agent::snapshot {

namespace {

constexpr std::string_view kDraftPrefix = ".draft-";
constexpr const char* kManifest = "/manifest.json";
constexpr const char* kRetired = "/retired.json";
constexpr const char* kPages = "/pages";
constexpr const char* kDeviceState = "/device-state";
constexpr std::size_t kManifestBytes = 64 * 1024;
constexpr std::size_t kDeviceStateBytes = 64 * 1024 * 1024;  // QEMU's is below 10 KiB with one vCPU

void make_durable(sys::FdView file, std::string_view what) {
  if (::fsync(file.get()) != 0) throw_errno("make {} durable", what);
}

std::string checksum_of(const std::string& text) {
  return Checksum::hex_of(std::as_bytes(std::span(text.data(), text.size())));
}

// Empty when there is no such directory.
std::vector<std::string> list_names(const std::string& path) {
  return sys::try_list_directory(path).value_or(std::vector<std::string>());
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
  // Write-only: QEMU takes a descriptor only for the very way of access that it asks for.
  state_ = sys::open_file(directory_.path() + kDeviceState, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

Draft Draft::begin(const std::string& root, const std::string& id) {
  sys::make_directories(root, 0700);
  return Draft(root, id, sys::TempDir::create(fmt::format("{}/{}{}-", root, kDraftPrefix, id)));
}

void Draft::copy_pages_ahead(const vmm::MachineRecord& machine) {
  pages_ = sys::open_file(directory_.path() + kPages, O_RDWR | O_CREAT | O_TRUNC, 0600);
  writer_ = std::make_unique<PageWriter>(machine, pages_);
  writer_->copy_ahead();
}

PagesSummary Draft::write_pages(const vmm::MachineRecord& machine) {
  if (!writer_) {
    pages_ = sys::open_file(directory_.path() + kPages, O_RDWR | O_CREAT | O_TRUNC, 0600);
    writer_ = std::make_unique<PageWriter>(machine, pages_);
  }
  PagesSummary summary = writer_->finish();
  writer_.reset();
  pages_checksum_ = summary.checksum;
  return summary;
}

void Draft::link_from(const Snapshot& other) {
  const auto link = [this, &other](const char* name) {
    const std::string from = other.directory + name, to = directory_.path() + name;
    ::unlink(to.c_str());
    if (::link(from.c_str(), to.c_str()) != 0) throw_errno("link {} to {}", from, to);
    return sys::open_file(to, O_RDONLY);
  };
  state_ = link(kDeviceState);
  if (!other.pages) return;
  pages_ = link(kPages);
  pages_checksum_ = other.manifest.pages_checksum;
}

static std::shared_ptr<const sys::Fd> open_again(sys::FdView file) {
  return std::make_shared<const sys::Fd>(
      sys::open_file(fmt::format("/proc/self/fd/{}", file.get()), O_RDONLY));
}

Snapshot Draft::detach(Manifest manifest) const {
  Snapshot snapshot;
  snapshot.manifest = std::move(manifest);
  snapshot.device_state = open_again(state_);
  if (pages_.valid()) {
    snapshot.pages = open_again(pages_);
    snapshot.manifest.pages_bytes = sys::file_size(pages_);
    snapshot.manifest.pages_checksum = pages_checksum_;
  }
  return snapshot;
}

sys::Fd open_device_state(const Snapshot& snapshot) {
  return sys::open_file(fmt::format("/proc/self/fd/{}", snapshot.device_state->get()), O_RDONLY);
}

void Draft::drop_pages() {
  pages_.reset();
  pages_checksum_.clear();
  if (::unlink((directory_.path() + kPages).c_str()) != 0 && errno != ENOENT)
    throw_errno("remove the pages of the snapshot of {}", id_);
}

void Draft::commit(Manifest manifest, const Secret& key) {
  crash_point("snapshot.commit.begin");
  const std::string& draft = directory_.path();
  const std::string state = sys::read_file(draft + kDeviceState, kDeviceStateBytes);
  if (state.empty())
    throw_error(ErrorCode::internal, "the snapshot of {} is incomplete: no device state", id_);
  manifest.device_state_bytes = state.size();
  manifest.device_state_checksum = checksum_of(state);
  manifest.pages_bytes = pages_.valid() ? sys::file_size(pages_) : 0;
  manifest.pages_checksum = pages_checksum_;
  if (manifest.created_at_us == 0) manifest.created_at_us = now().us;

  if (pages_.valid()) make_durable(pages_, "saved memory");
  make_durable(state_, "a device state");
  sys::write_file_atomic(draft + kManifest, seal_manifest(std::move(manifest), key),
                         0600);  // and the directory with it

  crash_point("snapshot.commit.sealed");
  const std::string place = root_ + "/" + id_;
  if (sys::exists(place)) {
    exchange(draft, place);
    crash_point("snapshot.commit.exchanged");
    sys::fsync_dir(root_);
    // What is at the draft's name now is the earlier snapshot: our destructor removes it.
  } else {
    if (::rename(draft.c_str(), place.c_str()) != 0) throw_errno("rename {} to {}", draft, place);
    crash_point("snapshot.commit.renamed");
    (void)directory_.release();
    sys::fsync_dir(root_);
  }
}

std::optional<Manifest> load_manifest(const std::string& root, const std::string& id, const Secret& key) {
  const auto text = sys::try_read_file(root + "/" + id + kManifest, kManifestBytes);
  if (!text) return std::nullopt;
  return parse_manifest(*text, key, "snapshot " + id);
}

std::optional<Snapshot> load(const std::string& root, const std::string& id, const Secret& key) {
  const std::string directory = root + "/" + id;
  auto found = load_manifest(root, id, key);
  if (!found) return std::nullopt;
  Snapshot snapshot;
  snapshot.directory = directory;
  snapshot.manifest = std::move(*found);
  const Manifest& manifest = snapshot.manifest;
  auto state = sys::try_open_file(directory + kDeviceState, O_RDONLY);
  if (!state || checksum_of(sys::read_up_to(*state, kDeviceStateBytes)) != manifest.device_state_checksum)
    throw_error(ErrorCode::data_loss,
                "the device state of snapshot {} is missing or was damaged; destroy what it belongs to", id);
  if (::lseek(state->get(), 0, SEEK_SET) != 0) throw_errno("go to the start of a device state");
  snapshot.device_state = std::make_shared<const sys::Fd>(std::move(*state));
  if (manifest.pages_bytes != 0) {
    auto pages = sys::try_open_file(directory + kPages, O_RDONLY);
    if (!pages || sys::file_size(*pages) != manifest.pages_bytes)
      throw_error(ErrorCode::data_loss,
                  "the memory of snapshot {} is missing or has the wrong size; destroy what it belongs to",
                  id);
    snapshot.pages = std::make_shared<const sys::Fd>(std::move(*pages));
  }
  return snapshot;
}

void retire(const Snapshot& snapshot) {
  crash_point("snapshot.retire");
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
  crash_point("snapshot.remove.manifest_gone");
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

std::vector<std::string> list_directories(const std::string& root) {
  std::vector<std::string> names = list_names(root);
  std::erase_if(names, [](const std::string& name) { return name.front() == '.'; });
  return names;
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

}  // namespace wrenn::agent::snapshot
