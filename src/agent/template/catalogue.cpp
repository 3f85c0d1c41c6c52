#include "agent/template/catalogue.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "core/base/error.h"
#include "core/json/fields.h"
#include "core/log/log.h"
#include "linux/fd.h"
#include "linux/file.h"

namespace wrenn::agent::templates {

namespace {

constexpr std::size_t kDescriptionBytes = 64 * 1024;  // template.json, kernel.json
constexpr const char* kImageLink = "rootfs.ext4";

// What rootfs/build.sh writes; the ids are the directory's name.
struct TemplateFile {
  std::string name;
  std::string generation;
  std::string default_user = "root";
  bool snapshot = false;
  int vcpus = 0;
  int memory_mb = 0;
  std::vector<TemplateImage::Size> warm;
  static constexpr auto kFields = json::fields(
      json::field("name", &TemplateFile::name), json::field("generation", &TemplateFile::generation),
      json::field("default_user", &TemplateFile::default_user),
      json::field("snapshot", &TemplateFile::snapshot), json::field("vcpus", &TemplateFile::vcpus),
      json::field("memory_mb", &TemplateFile::memory_mb),
      json::field("warm", &TemplateFile::warm, json::kOmitEmpty));
};

// What rootfs/kernel.sh writes; file names are relative to it.
struct KernelFile {
  std::string version;
  std::string vmlinux;
  std::string initramfs;
  static constexpr auto kFields = json::fields(json::field("version", &KernelFile::version, json::kRequired),
                                               json::field("vmlinux", &KernelFile::vmlinux, json::kRequired),
                                               json::field("initramfs", &KernelFile::initramfs));
};

// Empty when there is no such directory.
std::vector<std::string> list_directory(const std::string& path) {
  return sys::try_list_directory(path).value_or(std::vector<std::string>());
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr), &::free);
  if (!resolved) throw_errno("resolve {}", path);
  return resolved.get();
}

bool is_complete(const std::string& path) {
  return sys::exists(path + "/" + kImageLink) ||
         sys::exists(fmt::format("{}/{}/manifest.json", path, kSnapshotDirectory));
}

// Throws when it is incomplete.
TemplateImage read_template(const std::string& path, const model::TeamId& team, const model::TemplateId& id) {
  TemplateImage image;
  image.team = team;
  image.id = id;
  TemplateFile description;
  if (const auto text = sys::try_read_file(path + "/template.json", kDescriptionBytes))
    description = json::from_json<TemplateFile>(*text);
  image.name = description.name.empty() ? id.digits() : description.name;
  image.generation = description.generation;
  image.default_user = description.default_user;
  image.directory = path;
  image.snapshot = description.snapshot;
  image.vcpus = description.vcpus;
  image.memory_mb = description.memory_mb;
  image.warm = description.warm;
  if (image.snapshot) {
    image.allocated_bytes = sys::allocated_bytes(path);
    return image;
  }
  image.image = real_path(path + "/" + kImageLink);
  const sys::Fd file = sys::open_file(image.image, O_RDONLY);
  image.image_bytes = sys::file_size(file);
  image.allocated_bytes = sys::allocated_bytes(file);
  return image;
}

// "debian" for the system templates that rootfs/build.sh makes; empty for others.
std::string remedy_for(const model::TeamId& team, const model::TemplateId& id) {
  if (team != model::kPlatformTeam) return "templates of a team exist only on the host that made them";
  constexpr std::string_view kDistros[] = {"ubuntu", "alpine", "arch", "fedora", "debian"};
  for (std::size_t i = 0; i < std::size(kDistros); ++i)
    if (id == model::TemplateId::from_number(i))
      return fmt::format("build it with: rootfs/build.sh {} --dir DIR --wrenn PATH", kDistros[i]);
  return "install it under DIR/images/teams";
}

std::optional<Kernel> find_own_kernel(const std::string& kernels, std::string_view wanted) {
  constexpr std::string_view kPrefix = "vmlinux-";
  std::optional<Kernel> best;
  for (const std::string& name : list_directory(kernels)) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string version = name.substr(kPrefix.size());
    if (version.empty() || version.front() < '0' || version.front() > '9') continue;
    if (version == wanted) return Kernel{kernels + "/" + name, "", version};
    if (!best || compare_versions(version, best->version) > 0)
      best = Kernel{kernels + "/" + name, "", version};
  }
  const std::string plain = kernels + "/vmlinux";
  if (sys::exists(plain) && (!best || wanted == "vmlinux")) return Kernel{plain, "", "vmlinux"};
  return best;
}

std::optional<Kernel> find_distribution_kernel(const std::string& kernels) {
  const std::string path = kernels + "/debian-cloud";
  const auto text = sys::try_read_file(path + "/kernel.json", kDescriptionBytes);
  if (!text) return std::nullopt;
  const auto description = json::from_json<KernelFile>(*text);
  Kernel kernel;
  kernel.path = path + "/" + description.vmlinux;
  if (!description.initramfs.empty()) kernel.initramfs = path + "/" + description.initramfs;
  kernel.version = description.version;
  for (const std::string& file : {kernel.path, kernel.initramfs})
    if (!file.empty() && !sys::exists(file))
      throw_error(ErrorCode::failed_precondition,
                  "{} is missing: run rootfs/kernel.sh --dir DIR --wrenn PATH", file);
  return kernel;
}

void collect_strings(const json::Value& value, const std::string& prefix, std::vector<std::string>& out) {
  if (const std::string* text = value.as_string()) {
    if (text->starts_with(prefix)) out.push_back(*text);
  } else if (const auto* array = value.as_array()) {
    for (const json::Value& item : *array) collect_strings(item, prefix, out);
  } else if (const auto* object = value.as_object()) {
    for (const auto& [name, item] : *object) collect_strings(item, prefix, out);
  }
}

// Records lie at most this deep: DIR/images/teams/TEAM/TEMPLATE/snapshot/manifest.json.
constexpr int kRecordDepth = 4;
constexpr std::size_t kRecordBytes = 1024 * 1024;

void collect_references(const std::string& path, const std::string& prefix, int depth,
                        std::vector<std::string>& out) {
  for (const std::string& name : list_directory(path)) {
    const std::string child = path + "/" + name;
    if (name.ends_with(".json")) {
      const auto text = sys::try_read_file(child, kRecordBytes);
      if (text) collect_strings(json::parse(*text), prefix, out);
    } else if (depth > 0) {
      collect_references(child, prefix, depth - 1, out);
    }
  }
}

}  // namespace

std::vector<TemplateImage> list_templates(const std::string& directory) {
  std::vector<TemplateImage> templates;
  const std::string root = directory + "/images/teams";
  for (const std::string& team_name : list_directory(root)) {
    const auto team = parse_base36(team_name);
    if (!team) continue;
    for (const std::string& name : list_directory(root + "/" + team_name)) {
      const auto id = parse_base36(name);
      if (!id) continue;
      const std::string path = root + "/" + team_name + "/" + name;
      if (!is_complete(path)) continue;  // being built
      try {
        templates.push_back(read_template(path, model::TeamId(*team), model::TemplateId(*id)));
      } catch (const Error& error) {
        log::warn("a template is left out", {{"path", path}, {"error", error.what()}});
      }
    }
  }
  return templates;
}

TemplateImage find_template(const std::string& directory, const model::TeamId& team,
                            const model::TemplateId& id) {
  const std::string path = template_directory(directory, team, id);
  if (!is_complete(path))
    throw_error(ErrorCode::not_found, "this host has no image for template {} ({}/{}): {}", id.digits(), path,
                kImageLink, remedy_for(team, id));
  try {
    return read_template(path, team, id);
  } catch (const Error& error) {
    throw_error(ErrorCode::data_loss, "template {} is damaged: {}; {}", id.digits(), error.what(),
                remedy_for(team, id));
  }
}

std::vector<std::string> template_directories(const std::string& directory) {
  std::vector<std::string> paths;
  const std::string root = directory + "/images/teams";
  for (const std::string& team : list_directory(root))
    if (parse_base36(team))
      for (const std::string& name : list_directory(root + "/" + team))
        if (parse_base36(name)) paths.push_back(root + "/" + team + "/" + name);
  return paths;
}

std::string template_directory(const std::string& directory, const model::TeamId& team,
                               const model::TemplateId& id) {
  return fmt::format("{}/images/teams/{}/{}", directory, team.digits(), id.digits());
}

void write_snapshot_template(const std::string& directory, const TemplateImage& image) {
  TemplateFile file;
  file.name = image.name;
  file.generation = image.generation;
  file.default_user = image.default_user;
  file.snapshot = true;
  file.vcpus = image.vcpus;
  file.memory_mb = image.memory_mb;
  sys::write_file_atomic(directory + "/template.json", json::to_json(file), 0644);
}

Kernel find_kernel(const std::string& directory, std::string_view wanted) {
  const std::string kernels = directory + "/kernels";
  const auto own = find_own_kernel(kernels, wanted);
  if (own && (wanted.empty() || own->version == wanted)) return *own;
  const auto distribution = find_distribution_kernel(kernels);
  if (distribution && (!own || distribution->version == wanted)) return *distribution;
  if (own) return *own;
  throw_error(ErrorCode::failed_precondition,
              "there is no guest kernel under {}: run rootfs/kernel.sh --dir DIR --wrenn PATH, or put an "
              "uncompressed "
              "kernel there as vmlinux",
              kernels);
}

std::set<std::string> referenced_files(const std::string& directory, std::string_view below) {
  const std::string absolute = real_path(directory);
  std::vector<std::string> files;
  for (const char* records : {"/sandboxes", "/snapshots", "/golden", "/checkpoints", "/images"})
    collect_references(absolute + records, fmt::format("{}/{}/", absolute, below), kRecordDepth, files);
  return {files.begin(), files.end()};
}

}  // namespace wrenn::agent::templates
