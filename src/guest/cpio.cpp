#include "guest/cpio.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <iterator>
#include <utility>

namespace wrenn::guest {

namespace {

constexpr std::size_t kAlignment = 4;

}  // namespace

void CpioWriter::add_directory(std::string_view path, std::uint32_t permissions) {
  const Entry entry{.mode = S_IFDIR | permissions, .links = 2, .device_major = 0, .device_minor = 0};
  add(path, entry, {});
}

void CpioWriter::add_file(std::string_view path, std::uint32_t permissions, std::string_view content) {
  const Entry entry{.mode = S_IFREG | permissions, .links = 1, .device_major = 0, .device_minor = 0};
  add(path, entry, content);
}

void CpioWriter::add_character_device(std::string_view path, std::uint32_t permissions, std::uint32_t major,
                                      std::uint32_t minor) {
  const Entry entry{.mode = S_IFCHR | permissions, .links = 1, .device_major = major, .device_minor = minor};
  add(path, entry, {});
}

std::string CpioWriter::finish() {
  add("TRAILER!!!", Entry{.mode = 0, .links = 1, .device_major = 0, .device_minor = 0}, {});
  next_inode_ = 1;
  return std::exchange(archive_, {});
}

void CpioWriter::add(std::string_view path, const Entry& entry, std::string_view content) {
  // Fields of eight hexadecimal digits: ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
  // rdevmajor, rdevminor, namesize (with its NUL), check (0 in this variant).
  fmt::format_to(std::back_inserter(archive_),
                 "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
                 next_inode_++, entry.mode, 0, 0, entry.links, 0, content.size(), 0, 0, entry.device_major,
                 entry.device_minor, path.size() + 1, 0);
  archive_.append(path);
  archive_.push_back('\0');
  pad();
  archive_.append(content);
  pad();
}

void CpioWriter::pad() {
  archive_.append((kAlignment - archive_.size() % kAlignment) % kAlignment, '\0');
}

}  // namespace wrenn::guest
