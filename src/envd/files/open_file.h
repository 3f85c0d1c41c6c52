// A file that is being read for a client.
#pragma once

#include <cstdint>
#include <ctime>
#include <span>
#include <string>

#include "envd/files/aligned_bytes.h"
#include "linux/fd.h"

namespace wrenn::envd::files {

struct OpenFile {
  sys::Fd fd;
  sys::Fd direct;  // the same file past the page cache; invalid where that cannot be or need not
  std::uint64_t size = 0;
  std::time_t modified = 0;
  std::string unsized_content;  // when size is 0 and there is something nevertheless (/proc)
};

// Blocks. Throws Error(not_found), Error(invalid_argument) for what is no regular file, SystemError.
OpenFile open_regular(const std::string& path, PageCache cache);

// What of `into` could be read without waiting.
std::size_t read_cached(const OpenFile& file, std::span<char> into, std::uint64_t offset) noexcept;
// All of `into`. Blocks. Throws SystemError, also when the file has become shorter.
void read_blocking(const OpenFile& file, std::span<char> into, std::uint64_t offset);

}  // namespace wrenn::envd::files
