#include "agent/host_info.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/template/catalogue.h"
#include "core/base/error.h"
#include "linux/procfs.h"

namespace wrenn::agent {

api::agent::HostInfo read_host_info(const std::string& directory) {
  api::agent::HostInfo info;
  utsname system{};
  uname(&system);
  info.arch = system.machine;
  if (info.arch == "x86_64") info.arch = "amd64";
  if (info.arch == "aarch64") info.arch = "arm64";
  info.cpu_cores = sysconf(_SC_NPROCESSORS_ONLN);
  info.memory_mb = static_cast<std::int64_t>(sys::read_machine_memory().total >> 20);
  struct statvfs disk{};
  if (statvfs(directory.c_str(), &disk) != 0) throw_errno("examine the file system of {}", directory);
  info.disk_gb = static_cast<std::int64_t>((static_cast<std::uint64_t>(disk.f_blocks) * disk.f_frsize) >> 30);
  try {
    info.kernel_version = templates::find_kernel(directory).version;
  } catch (const Error&) {
    // none is installed
  }
  for (const templates::TemplateImage& image : templates::list_templates(directory)) {
    api::agent::TemplateInfo& out = info.templates.emplace_back();
    out.template_id = image.id.digits();
    out.team_id = image.team.digits();
    out.name = image.name;
    out.generation = image.generation;
    out.default_user = image.default_user;
    out.size_bytes = static_cast<std::int64_t>(image.allocated_bytes);
    out.snapshot = image.snapshot;
    out.vcpus = image.vcpus;
    out.memory_mb = image.memory_mb;
  }
  return info;
}

async::Task<api::agent::HostInfo> host_info(sandbox::Host& host) {
  auto read = [directory = host.directory] { return read_host_info(directory); };
  api::agent::HostInfo info = co_await async::offload(host.sys, std::move(read));
  info.agent_version = host.agent_version;
  try {
    info.vmm_version = (co_await host.engine.vmm())->version();
    auto find = [&mechanisms = host.mechanisms] { return mechanisms.find_kernel({}); };
    templates::Kernel kernel = co_await async::offload(host.sys, std::move(find));
    info.acceleration = to_string(co_await host.engine.acceleration(std::move(kernel)));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
  }
  co_return info;
}

}  // namespace wrenn::agent
