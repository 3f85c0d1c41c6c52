// The templates and kernels that are installed under the agent's directory (spec/vm.md §1):
//
//   DIR/images/teams/TEAM/TEMPLATE/template.json, rootfs.ext4 → rootfs-GENERATION.ext4
//   DIR/images/teams/TEAM/TEMPLATE/template.json, snapshot/  made from a sandbox (write_snapshot_template())
//   DIR/kernels/vmlinux-SEMVER, vmlinux                      an operator's own, drivers built in
//   DIR/kernels/debian-cloud/kernel.json, vmlinux, initramfs made by rootfs/kernel.sh
//
// Always read anew: images are installed and updated while the agent runs. Functions block for some
// microseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/fields.h"
#include "model/ids.h"

namespace wrenn::agent::templates {

struct TemplateImage {
  model::TeamId team;
  model::TemplateId id;
  std::string name;          // "minimal-debian"; the id's digits when template.json has none
  std::string generation;    // of the image; empty for an image that was put there by hand
  std::string image;         // absolute path of the immutable generation: the link is resolved here, once
  std::string default_user;  // "root" when template.json has none
  std::uint64_t image_bytes = 0;      // size of the guest's disk
  std::uint64_t allocated_bytes = 0;  // on the host's disk
  std::string directory;              // of the template
  // Made from a sandbox: there is no image of its own, but DIRECTORY/snapshot (agent/snapshot), of a machine
  // of this size.
  bool snapshot = false;
  int vcpus = 0;
  int memory_mb = 0;
  // Machines of these sizes are expected, so their golden snapshots are made ahead of time.
  struct Size {
    int vcpus = 1;
    int memory_mb = 512;
    static constexpr auto kFields =
        json::fields(json::field("vcpus", &Size::vcpus), json::field("memory_mb", &Size::memory_mb));
  };
  std::vector<Size> warm;
};

inline constexpr const char* kSnapshotDirectory = "snapshot";

struct Kernel {
  std::string path;       // uncompressed ELF
  std::string initramfs;  // empty: drivers are built in
  std::string version;    // "6.1.0-31-cloud-amd64", "6.1.2", "vmlinux"
};

// All complete ones, by team and id. What is malformed is left out with a warning in the log. Throws
// SystemError.
std::vector<TemplateImage> list_templates(const std::string& directory);
// Throws Error(not_found) that says which command makes the image; Error(data_loss) when it is there but
// broken.
TemplateImage find_template(const std::string& directory, const model::TeamId& team,
                            const model::TemplateId& id);

// Writes template.json of a template whose snapshot stands beside it. Durable. Throws SystemError.
void write_snapshot_template(const std::string& directory, const TemplateImage& image);
// Of every template, complete or not. Throws SystemError.
std::vector<std::string> template_directories(const std::string& directory);
// Where a template's files are, whether it exists or not.
std::string template_directory(const std::string& directory, const model::TeamId& team,
                               const model::TemplateId& id);

// The operator's own with the highest version, then an unversioned one, then Debian's. With `wanted` (the
// version that a record names) exactly that one if it is installed, else as without. Throws
// Error(failed_precondition) that says which command makes one.
Kernel find_kernel(const std::string& directory, std::string_view wanted = {});

// Numeric, dot by dot, missing parts are 0: 6.1 = 6.1.0 < 6.10. Text after the numbers ("-rc1") counts last.
// Negative, zero, positive.
int compare_versions(std::string_view a, std::string_view b) noexcept;

// Absolute paths of files below DIR/BELOW ("images", "layers") that some *.json record mentions, anywhere
// below DIR/{sandboxes,snapshots,golden,checkpoints,images}: these must not be deleted. Throws SystemError or
// Error when a record cannot be read, so that nothing is deleted by mistake.
std::set<std::string> referenced_files(const std::string& directory, std::string_view below);

}  // namespace wrenn::agent::templates
