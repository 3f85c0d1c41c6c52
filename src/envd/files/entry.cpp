#include "envd/files/entry.h"

#include <fmt/format.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <ctime>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/files/metadata.h"
#include "envd/files/path_error.h"
#include "envd/files/paths.h"

namespace wrenn::envd::files {

namespace {

std::string_view type_of(mode_t mode) noexcept {
  if (S_ISREG(mode)) return "FILE_TYPE_FILE";
  if (S_ISDIR(mode)) return "FILE_TYPE_DIRECTORY";
  if (S_ISLNK(mode)) return "FILE_TYPE_SYMLINK";
  return "FILE_TYPE_UNSPECIFIED";
}

}  // namespace

const std::string& OwnerNames::user(uid_t uid) {
  auto [place, is_new] = users_.try_emplace(uid);
  if (is_new) {
    const auto user = accounts_.user(uid);
    place->second = user ? user->name : std::to_string(uid);
  }
  return place->second;
}

const std::string& OwnerNames::group(gid_t gid) {
  auto [place, is_new] = groups_.try_emplace(gid);
  if (is_new) {
    const auto group = accounts_.group(gid);
    place->second = group ? group->name : std::to_string(gid);
  }
  return place->second;
}

std::string permissions_text(mode_t mode) {
  std::string text;
  if (S_ISDIR(mode)) text += 'd';
  if (S_ISLNK(mode)) text += 'L';
  if (S_ISBLK(mode) || S_ISCHR(mode)) text += 'D';
  if (S_ISFIFO(mode)) text += 'p';
  if (S_ISSOCK(mode)) text += 'S';
  if (mode & S_ISUID) text += 'u';
  if (mode & S_ISGID) text += 'g';
  if (S_ISCHR(mode)) text += 'c';
  if (mode & S_ISVTX) text += 't';
  if (text.empty()) text = "-";
  for (int bit = 8; bit >= 0; --bit) text += (mode >> bit) & 1 ? "xwr"[bit % 3] : '-';
  return text;
}

std::string time_text(const timespec& time) {
  std::tm parts{};
  ::gmtime_r(&time.tv_sec, &parts);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900,
                                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  if (time.tv_nsec != 0) {
    std::string fraction = fmt::format(".{:09}", time.tv_nsec);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    text += fraction;
  }
  return text + "Z";
}

std::optional<api::envd::EntryInfo> find_entry(const std::string& path, OwnerNames& names) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw_path_error("look at", path);
  }
  api::envd::EntryInfo entry;
  entry.name = base_name(path);
  entry.path = path;
  entry.type = type_of(info.st_mode);
  entry.size.value = info.st_size;
  entry.mode = info.st_mode & 07777;
  entry.permissions = permissions_text(info.st_mode);
  entry.owner = names.user(info.st_uid);
  entry.group = names.group(info.st_gid);
  if (info.st_mtim.tv_sec != 0 || info.st_mtim.tv_nsec != 0) entry.modified_time = time_text(info.st_mtim);
  if (S_ISLNK(info.st_mode)) {
    struct stat target{};
    char resolved[PATH_MAX];
    if (::stat(path.c_str(), &target) == 0 && ::realpath(path.c_str(), resolved) != nullptr) {
      entry.type = type_of(target.st_mode);
      entry.mode = target.st_mode & 07777;
      entry.symlink_target = resolved;
    } else {
      entry.type = "FILE_TYPE_UNSPECIFIED";
      entry.symlink_target = path;
    }
  }
  entry.metadata = load_metadata(path);
  return entry;
}

api::envd::EntryInfo entry_at(const std::string& path) {
  OwnerNames names;
  auto entry = find_entry(path, names);
  if (!entry) throw_error(ErrorCode::not_found, "path '{}' does not exist", sanitize_utf8(path));
  return std::move(*entry);
}

}  // namespace wrenn::envd::files
