// PendingFile: a file that is being received. Its bytes go to a temporary file in the directory of the
// target; commit() puts it in the place of the target in one step. A reader sees the old content or the new
// one, and an upload that breaks off leaves nothing.
//
// All functions block.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "envd/files/aligned_bytes.h"
#include "envd/files/directories.h"
#include "envd/files/metadata.h"
#include "envd/users.h"
#include "linux/fd.h"

namespace wrenn::envd::files {

class PendingFile {
 public:
  // `path`: absolute; a symbolic link in its place is followed. Missing directories are made, owned by
  // `user`. `bytes`, when known, must fit on the disk. Throws Error(invalid_argument) for a directory, a
  // device or an impossible name, SystemError (ENOSPC).
  PendingFile(const std::string& path, const User& user, std::optional<std::uint64_t> bytes, PageCache cache,
              Metadata metadata = {});
  ~PendingFile();
  PendingFile(PendingFile&& other) noexcept;
  PendingFile& operator=(PendingFile&&) = delete;

  // Only whole pieces of limits::kTransferBytes from aligned memory can avoid the page cache, and not on
  // every file system; the others are written as usual.
  void append(std::span<const char> data);
  // The content is complete: sets mode, owner and attributes, closes. A new file gets 0644 and the user; an
  // existing one keeps its mode, and its owner if the user is root: whoever else uploads owns what they
  // uploaded. Metadata is what was given, whatever the file had before.
  void seal();
  // Puts it in place. Once, after seal().
  void commit();

  const Metadata& metadata() const noexcept { return metadata_; }
  const std::string& path() const noexcept { return path_; }  // as it was given

 private:
  void open_temporary();
  void write_directly(bool wanted);

  std::string path_;
  std::string target_;     // what path_ leads to
  std::string temporary_;  // empty: nothing to remove
  uid_t owner_;
  gid_t group_;
  mode_t mode_ = 0644;
  Metadata metadata_;
  Attributes attributes_;  // of the file that is replaced
  bool is_new_ = true;
  bool in_place_ = false;  // a file where no other can be made beside it (/proc, /sys)
  PageCache cache_;
  bool direct_ = false;
  std::uint64_t bytes_ = 0;  // appended so far
  MadeDirectories directories_;
  sys::Fd fd_;
};

}  // namespace wrenn::envd::files
