#include "envd/files/metadata.h"

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

namespace {

constexpr std::string_view kFieldPrefix = "x-metadata-";
constexpr std::string_view kNamespace = "user.e2b.";
constexpr std::string_view kUserAttributes = "user.";
constexpr std::string_view kAccessList = "system.posix_acl_access";

bool is_printable(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

void check(std::string_view key, std::string_view value) {
  const std::string shown = sanitize_utf8(key.substr(0, limits::kMetadataKeyBytes));
  if (key.empty()) throw_error(ErrorCode::invalid_argument, "X-Metadata-: the field has no key");
  if (key.size() > limits::kMetadataKeyBytes)
    throw_error(ErrorCode::invalid_argument, "X-Metadata-{}…: a key has at most {} bytes", shown,
                limits::kMetadataKeyBytes);
  if (!is_printable(key) || !is_printable(value))
    throw_error(ErrorCode::invalid_argument, "X-Metadata-{}: key and value must be printable ASCII", shown);
}

// The names of `path`'s attributes; none where there cannot be any.
std::vector<std::string> names_of(const std::string& path) {
  std::vector<std::string> names;
  const ssize_t bytes = ::listxattr(path.c_str(), nullptr, 0);
  if (bytes <= 0) return names;
  std::string list(static_cast<std::size_t>(bytes), '\0');
  const ssize_t got = ::listxattr(path.c_str(), list.data(), list.size());
  if (got <= 0) return names;
  list.resize(static_cast<std::size_t>(got));
  for (const std::string_view name : split(list, '\0'))
    if (!name.empty()) names.emplace_back(name);
  return names;
}

// Appends those that `wanted` wants, up to limits::kAttributeBytes in all.
template <typename Wanted, typename Take>
void read_attributes(const std::string& path, Wanted wanted, Take take) {
  std::unique_ptr<char[]> value;
  std::size_t total = 0;
  for (const std::string& name : names_of(path)) {
    if (!wanted(name)) continue;
    if (!value) value = std::make_unique_for_overwrite<char[]>(limits::kAttributeBytes);
    const ssize_t size = ::getxattr(path.c_str(), name.c_str(), value.get(), limits::kAttributeBytes);
    if (size < 0) continue;
    total += name.size() + static_cast<std::size_t>(size);
    if (total > limits::kAttributeBytes) return;
    take(name, std::string(value.get(), static_cast<std::size_t>(size)));
  }
}

}  // namespace

Metadata metadata_of(const http::Headers& fields) {
  Metadata metadata;
  std::size_t total = 0;
  for (const auto& [name, value] : fields.fields()) {
    if (name.size() < kFieldPrefix.size() ||
        !equals_ignoring_case(std::string_view(name).substr(0, kFieldPrefix.size()), kFieldPrefix))
      continue;
    const std::string key = to_lower(std::string_view(name).substr(kFieldPrefix.size()));
    check(key, value);
    if (!metadata.try_emplace(key, value).second) continue;
    total += kNamespace.size() + key.size() + value.size();
  }
  if (total > limits::kMetadataBytes)
    throw_error(ErrorCode::invalid_argument,
                "X-Metadata-…: {} bytes of keys and values, at most {} can be kept", total,
                limits::kMetadataBytes);
  return metadata;
}

void store_metadata(sys::FdView file, const Metadata& metadata) {
  const std::string path = fmt::format("/proc/self/fd/{}", file.get());
  for (const std::string& name : names_of(path))
    if (name.starts_with(kNamespace)) ::fremovexattr(file.get(), name.c_str());
  for (const auto& [key, value] : metadata) {
    const std::string name = std::string(kNamespace) + key;
    if (::fsetxattr(file.get(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (errno == ENOTSUP || errno == EPERM)
      throw_error(ErrorCode::invalid_argument,
                  "X-Metadata-{}: the file system of the target keeps no extended attributes", key);
    throw_errno("keep metadata '{}'", key);
  }
}

Metadata load_metadata(const std::string& path) {
  Metadata metadata;
  const auto wanted = [](std::string_view name) { return name.starts_with(kNamespace); };
  const auto take = [&metadata](std::string_view name, std::string value) {
    metadata.emplace(name.substr(kNamespace.size()), std::move(value));
  };
  read_attributes(path, wanted, take);
  return metadata;
}

Attributes load_other_attributes(const std::string& path) {
  Attributes attributes;
  const auto wanted = [](std::string_view name) {
    return name == kAccessList || (name.starts_with(kUserAttributes) && !name.starts_with(kNamespace));
  };
  const auto take = [&attributes](const std::string& name, std::string value) {
    attributes.emplace_back(name, std::move(value));
  };
  read_attributes(path, wanted, take);
  return attributes;
}

void store_attributes(sys::FdView file, const Attributes& attributes) noexcept {
  for (const auto& [name, value] : attributes)
    (void)::fsetxattr(file.get(), name.c_str(), value.data(), value.size(), 0);
}

}  // namespace wrenn::envd::files
