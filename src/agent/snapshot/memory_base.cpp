#include "agent/snapshot/memory_base.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/random.h"
#include "linux/file.h"

namespace wrenn::agent::snapshot {

namespace {

constexpr std::size_t kChunkBytes = 1024 * 1024;

sys::Fd create_memfd(const std::string& name, std::uint64_t bytes) {
  sys::Fd fd = sys::Fd::adopt(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) throw_errno("create a file in memory for {} MiB of guest memory", bytes >> 20);
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) throw_errno("size a file in memory");
  return fd;
}

void seal(const sys::Fd& fd) {
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    throw_errno("seal a file in memory");
}

std::string fresh_name() {
  return "wrenn-base-" + random_hex(8);
}

std::string mapping_of(const std::string& name) {
  return "/memfd:" + name + " (deleted)";
}

}  // namespace

bool is_zero(std::span<const std::byte> bytes) noexcept {
  return bytes.empty() ||
         (bytes.front() == std::byte{0} && std::equal(bytes.begin() + 1, bytes.end(), bytes.begin()));
}

std::vector<Stretch> cut_stretches(std::span<const std::byte> data) {
  std::vector<Stretch> out;
  for (std::size_t at = 0; at + kPageBytes <= data.size(); at += kPageBytes) {
    const bool zero = is_zero(data.subspan(at, kPageBytes));
    if (!out.empty() && out.back().zero == zero) {
      out.back().bytes += kPageBytes;
    } else {
      out.push_back({at, kPageBytes, zero});
    }
  }
  return out;
}

void MemoryChecksum::update(std::uint64_t offset, std::span<const std::byte> pages) {
  for (std::size_t at = 0; at + kPageBytes <= pages.size(); at += kPageBytes) {
    const auto page = pages.subspan(at, kPageBytes);
    if (is_zero(page)) continue;
    const std::uint64_t number = (offset + at) / kPageBytes;
    checksum_.update(std::as_bytes(std::span(&number, 1)));
    checksum_.update(page);
  }
}

std::shared_ptr<const MemoryBase> MemoryBase::zeros(int memory_mib) {
  const std::string name = fresh_name();
  sys::Fd fd = create_memfd(name, static_cast<std::uint64_t>(memory_mib) << 20);
  seal(fd);
  return std::shared_ptr<const MemoryBase>(new MemoryBase(std::move(fd), "", mapping_of(name)));
}

std::shared_ptr<const MemoryBase> MemoryBase::load(const std::string& path, int memory_mib) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(memory_mib) << 20;
  const auto file = sys::try_open_file(path, O_RDONLY);
  if (!file || sys::file_size(*file) != bytes)
    throw_error(ErrorCode::data_loss,
                "the memory image {} is missing or has the wrong size; destroy what was made from it", path);
  const std::string name = fresh_name();
  sys::Fd fd = create_memfd(name, bytes);
  MemoryChecksum checksum(bytes);
  std::vector<std::byte> buffer(kChunkBytes);
  for (std::uint64_t at = 0; at < bytes;) {
    const off_t data = ::lseek(file->get(), static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) break;  // nothing but a hole is left
      throw_errno("look for data in {}", path);
    }
    at = static_cast<std::uint64_t>(data) / kPageBytes * kPageBytes;
    const auto chunk =
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes - at, kChunkBytes)));
    sys::pread_full(*file, chunk, at);
    checksum.update(at, chunk);
    for (const Stretch& stretch : cut_stretches(chunk))
      if (!stretch.zero)
        sys::pwrite_full(
            fd,
            chunk.subspan(static_cast<std::size_t>(stretch.offset), static_cast<std::size_t>(stretch.bytes)),
            at + stretch.offset);
    at += chunk.size();
  }
  if (!path.ends_with("-" + checksum.hex()))
    throw_error(ErrorCode::data_loss,
                "the memory image {} was damaged on disk: its checksum is {}; destroy what was made from it",
                path, checksum.hex());
  seal(fd);
  return std::shared_ptr<const MemoryBase>(new MemoryBase(std::move(fd), path, mapping_of(name)));
}

}  // namespace wrenn::agent::snapshot
