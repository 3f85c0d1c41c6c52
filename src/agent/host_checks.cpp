#include "agent/host_checks.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>

#include "agent/template/catalogue.h"
#include "agent/vmm/acceleration.h"
#include "agent/vmm/qemu.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "linux/capabilities.h"
#include "linux/cgroup.h"
#include "linux/device_mapper.h"

namespace wrenn::agent {

using Verdict = HostCheck::Verdict;

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::fine:
      return "ok";
    case Verdict::warning:
      return "warning";
    case Verdict::failure:
      return "failure";
  }
  return "failure";
}

namespace {

// Numbers of <linux/capability.h>: what namespaces, TAPs, loop and dm devices, foreign memory and other
// users' processes need (spec/hostagent.md §4; SETUID, SETGID and CHOWN because each VMM has a user of its
// own).
const std::vector<int> kCapabilities = {0, 1, 5, 6, 7, 12, 13, 19, 21, 27};

constexpr double kDiskReserve = 0.05;  // of the file system: below it creates should be refused
constexpr std::uint64_t kDiskComfortBytes = 10ULL << 30;

HostCheck fine(std::string name, std::string finding) {
  return {std::move(name), Verdict::fine, std::move(finding), ""};
}

// A check that fails by throwing: the message of our errors ends with the remedy.
HostCheck attempt(const std::string& name, const std::string& remedy,
                  const std::function<std::string()>& check) {
  try {
    return fine(name, check());
  } catch (const std::exception& error) {
    return {name, Verdict::failure, describe(error), remedy};
  }
}

std::optional<std::string> find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  const std::string places = std::string(path ? path : "") + ":/usr/sbin:/sbin";
  for (const auto place : split(places, ':')) {
    const std::string candidate = fmt::format("{}/{}", place, name);
    if (!place.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

HostCheck check_rights() {
  const auto missing = sys::missing_capabilities(sys::effective_capabilities(), kCapabilities);
  if (missing.empty()) return fine("capabilities", geteuid() == 0 ? "root" : "all that are needed");
  return {"capabilities", Verdict::failure, "missing: " + join(missing, ", "),
          "run as root, or grant them to the service (AmbientCapabilities= in its unit)"};
}

HostCheck check_program(const std::string& name, const std::string& package, Verdict if_missing) {
  if (const auto path = find_program(name)) return fine(name, *path);
  return {name, if_missing, "not found in PATH", "apt-get install " + package};
}

HostCheck check_tun() {
  if (::access("/dev/net/tun", R_OK | W_OK) == 0) return fine("tun", "/dev/net/tun");
  return {"tun", Verdict::failure, "/dev/net/tun is missing or not ours to open", "modprobe tun"};
}

HostCheck check_cgroups() {
  const auto problem = sys::cgroup_problem();
  if (problem.empty()) return fine("cgroups", "version 2");
  return {"cgroups", Verdict::warning, problem + "; capsules run without limits of their own on the host",
          "boot with systemd.unified_cgroup_hierarchy=1"};
}

HostCheck check_device_mapper() {
  const auto problem = sys::device_mapper_problem({"snapshot"});
  if (problem.empty()) return fine("device-mapper", "dm-snapshot");
  return {"device-mapper", Verdict::warning, problem + "; qcow2 overlays are used instead",
          "modprobe dm_snapshot (optional)"};
}

HostCheck check_disk(const std::string& directory) {
  std::filesystem::path place(directory);
  while (!place.empty() && place.has_relative_path() && !std::filesystem::exists(place))
    place = place.parent_path();
  struct statvfs info{};
  if (statvfs(place.c_str(), &info) != 0)
    return {"disk", Verdict::failure, fmt::format("{} cannot be examined", place.string()),
            "choose another --dir"};
  const double total = static_cast<double>(info.f_blocks) * static_cast<double>(info.f_frsize);
  const double free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  const auto finding =
      fmt::format("{:.1f} of {:.1f} GiB free at {}", free / (1 << 30), total / (1 << 30), place.string());
  if (free < total * kDiskReserve)
    return {"disk", Verdict::failure, finding, "free space, or choose another --dir"};
  if (free < static_cast<double>(kDiskComfortBytes))
    return {"disk", Verdict::warning, finding, "capsules and their snapshots may fill it soon"};
  return fine("disk", finding);
}

HostCheck check_acceleration(const std::string& directory, const std::string& version) {
  const bool has_directory = std::filesystem::is_directory(directory);
  vmm::AccelerationProbe probe;
  probe.vmm_binary = vmm::QemuOptions().binary;
  probe.vmm_version = version;
  try {
    const auto kernel = templates::find_kernel(directory);
    probe.kernel = kernel.path;
  } catch (const Error&) {
    return {"kvm", Verdict::warning, "not tried, there is no kernel to boot",
            "install a kernel, then ask again"};
  }
  if (has_directory) probe.record_path = directory + "/acceleration.json";
  const auto answer = vmm::find_acceleration(probe);
  if (answer.kind == vmm::Acceleration::kvm) return fine("kvm", answer.why);
  return {"kvm", Verdict::warning, answer.why + "; capsules are emulated (TCG), several times slower",
          "use a machine with hardware or nested virtualisation, load kvm_intel or kvm_amd"};
}

}  // namespace

std::vector<HostCheck> examine_host(const std::string& directory) {
  std::vector<HostCheck> checks;
  utsname name{};
  uname(&name);
  checks.push_back(fine("system", fmt::format("{} {} {}", name.sysname, name.release, name.machine)));
  checks.push_back(check_rights());
  std::string qemu_version;
  checks.push_back(attempt("qemu", "apt-get install qemu-system-x86",
                           [&] { return qemu_version = vmm::find_qemu_version(vmm::QemuOptions().binary); }));
  checks.push_back(attempt("kernel", fmt::format("rootfs/kernel.sh --dir {}", directory), [&] {
    const auto kernel = templates::find_kernel(directory);
    return fmt::format("{} ({})", kernel.version, kernel.path);
  }));
  checks.push_back(attempt("images", fmt::format("rootfs/build.sh debian --dir {}", directory), [&] {
    std::vector<std::string> names;
    for (const auto& image : templates::list_templates(directory)) names.push_back(image.name);
    if (names.empty())
      throw Error(ErrorCode::not_found, fmt::format("no template below {}/images", directory));
    return join(names, ", ");
  }));
  if (!qemu_version.empty()) checks.push_back(check_acceleration(directory, qemu_version));
  checks.push_back(check_program("nft", "nftables", Verdict::failure));
  checks.push_back(check_tun());
  checks.push_back(check_cgroups());
  checks.push_back(check_device_mapper());
  checks.push_back(check_disk(directory));
  return checks;
}

}  // namespace wrenn::agent
