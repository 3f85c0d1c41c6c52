// What a path is: the EntryInfo of the protocol.
#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <string>

#include "api/envd.h"
#include "linux/passwd.h"

namespace wrenn::envd::files {

// Names of owners; asks /etc/passwd and /etc/group once. Numbers stand for themselves where no name is known.
class OwnerNames {
 public:
  OwnerNames() : accounts_(sys::Accounts::load()) {}
  const std::string& user(uid_t uid);
  const std::string& group(gid_t gid);

 private:
  sys::Accounts accounts_;
  std::map<uid_t, std::string> users_;
  std::map<gid_t, std::string> groups_;
};

// "-rw-r--r--", "drwxr-xr-x", "Lrwxrwxrwx", "dtrwxrwxrwx": the way Go prints a mode, which clients know.
std::string permissions_text(mode_t mode);
// RFC 3339 in UTC with as many of nine decimals as are needed.
std::string time_text(const timespec& time);

// lstat of `path` (absolute). A symbolic link shows type and mode of its target, which is given in
// symlink_target with all links resolved, and its own size, owner, time and permissions; a broken one has the
// type UNSPECIFIED and itself as target. Absent when there is nothing. Throws SystemError.
std::optional<api::envd::EntryInfo> find_entry(const std::string& path, OwnerNames& names);
// The same; Error(not_found) when there is nothing.
api::envd::EntryInfo entry_at(const std::string& path);

}  // namespace wrenn::envd::files
