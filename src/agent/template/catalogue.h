// The templates and kernels that are installed under the agent's directory (spec/vm.md §1):
//
//   DIR/images/teams/TEAM/TEMPLATE/template.json, rootfs.ext4 → rootfs-GENERATION.ext4
//   DIR/kernels/vmlinux-SEMVER, vmlinux                      an operator's own, drivers built in
//   DIR/kernels/debian-cloud/kernel.json, vmlinux, initramfs made by rootfs/kernel.sh
//
// Always read anew: images are installed and updated while the agent runs. Functions block for some
// microseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
};

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

// The operator's own with the highest version, then an unversioned one, then Debian's. With `wanted` (the
// version that a record names) exactly that one if it is installed, else as without. Throws
// Error(failed_precondition) that says which command makes one.
Kernel find_kernel(const std::string& directory, std::string_view wanted = {});

// Numeric, dot by dot, missing parts are 0: 6.1 = 6.1.0 < 6.10. Text after the numbers ("-rc1") counts last.
// Negative, zero, positive.
int compare_versions(std::string_view a, std::string_view b) noexcept;

// Absolute paths of image generations that some *.json record below DIR/sandboxes or DIR/snapshots mentions:
// these must not be deleted. Throws SystemError when a record cannot be read, so that nothing is deleted by
// mistake.
std::vector<std::string> referenced_images(const std::string& directory);

}  // namespace wrenn::agent::templates
