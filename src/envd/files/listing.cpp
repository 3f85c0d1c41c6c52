#include "envd/files/listing.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/files/entry.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

namespace {

class Lister {
 public:
  explicit Lister(std::string& out) : out_(out), writer_(out) {}

  void list(const std::string& path, std::uint32_t depth) {
    writer_.begin_object();
    writer_.key("entries");
    writer_.begin_array();
    walk(path, depth, true);
    writer_.end_array();
    writer_.end_object();
  }

 private:
  void walk(const std::string& path, std::uint32_t depth, bool is_root) {
    auto children = names_in(path, is_root);
    std::sort(children.begin(), children.end());
    for (const std::string& name : children) {
      std::string child = path == "/" ? "/" + name : path + "/" + name;
      const auto entry = find_entry(child, owners_);
      if (!entry) continue;
      if (++entries_ > limits::kListEntries || out_.size() > limits::kListBytes)
        throw_error(
            ErrorCode::resource_exhausted,
            "more than {} entries or {} MiB: list with a smaller depth, or the directories one by one",
            limits::kListEntries, limits::kListBytes >> 20);
      json::write(writer_, *entry);
      const bool is_directory = entry->type == "FILE_TYPE_DIRECTORY" && !entry->symlink_target;
      if (is_directory && depth > 1) walk(child, depth - 1, false);
    }
  }

  // Of the root every failure is told; of a directory below only what is not its vanishing.
  std::vector<std::string> names_in(const std::string& path, bool is_root) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (!directory) {
      if (!is_root && (errno == ENOENT || errno == ENOTDIR)) return names;
      if (errno == ENOENT) throw_error(ErrorCode::not_found, "path '{}' does not exist", sanitize_utf8(path));
      if (errno == ENOTDIR)
        throw_error(ErrorCode::invalid_argument, "path '{}' is not a directory", sanitize_utf8(path));
      throw_errno("list '{}'", sanitize_utf8(path));
    }
    while (const dirent* item = ::readdir(directory.get())) {
      const std::string_view name = item->d_name;
      if (name == "." || name == "..") continue;
      if (entries_ + names.size() >= limits::kListEntries + 1) break;  // walk() will refuse
      names.emplace_back(name);
    }
    return names;
  }

  std::string& out_;
  json::Writer writer_;
  OwnerNames owners_;
  std::size_t entries_ = 0;
};

}  // namespace

std::string list_json(const std::string& path, std::uint32_t depth) {
  if (depth > limits::kListDepth)
    throw_error(ErrorCode::invalid_argument, "depth {}: at most {}", depth, limits::kListDepth);
  std::string json;
  Lister lister(json);
  lister.list(path, depth == 0 ? 1 : depth);
  return json;
}

}  // namespace wrenn::envd::files
