// Writer of the "newc" cpio format (kernel: Documentation/driver-api/early-userspace/buffer-format.rst). It
// builds the archive in memory: an initramfs of ours has about ten megabytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wrenn::guest {

class CpioWriter {
 public:
  // Paths are relative ("dev/console"); a directory comes before what is in it. Owner root, time 0.
  void add_directory(std::string_view path, std::uint32_t permissions);
  void add_file(std::string_view path, std::uint32_t permissions, std::string_view content);
  void add_character_device(std::string_view path, std::uint32_t permissions, std::uint32_t major,
                            std::uint32_t minor);

  // Appends the trailer and hands over the archive; the writer is empty afterwards.
  std::string finish();

 private:
  struct Entry {
    std::uint32_t mode;
    std::uint32_t links;
    std::uint32_t device_major;
    std::uint32_t device_minor;
  };
  void add(std::string_view path, const Entry& entry, std::string_view content);
  void pad();

  std::string archive_;
  std::uint32_t next_inode_ = 1;
};

}  // namespace wrenn::guest
