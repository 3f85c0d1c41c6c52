#include "agent/vmm/qemu_arguments.h"

#include <fmt/format.h>

#include "agent/vmm/limits.h"
#include "core/json/writer.h"

namespace wrenn::agent::vmm {

namespace {

// A file that is open under `fd`, put into the descriptor set `set`.
void write_file_node(json::Writer& writer, std::string_view driver, int set, bool read_only) {
  writer.begin_object();
  writer.member("driver", driver);
  writer.member("filename", fmt::format("/dev/fdset/{}", set));
  writer.member("read-only", read_only);
  if (!read_only) writer.member("discard", "unmap");
  writer.end_object();
}

// A device's writes bypass the page cache of the device: what waits there is written long after the guest was
// stopped, and the store below it would have to take what nobody has counted (disk/dm_snapshot.h). The image
// under the device is still cached once for all: its loop device reads the file.
void write_disk_file(json::Writer& writer, DiskFormat format, std::string_view name, int set,
                     bool block_device, bool read_only) {
  writer.member("driver", to_string(format));
  writer.member("node-name", name);
  writer.member("read-only", read_only);
  if (!read_only) writer.member("discard", "unmap");
  if (block_device) {
    writer.key("cache");
    writer.begin_object();
    writer.member("direct", true);
    writer.end_object();
  }
  writer.key("file");
  write_file_node(writer, block_device ? "host_device" : "file", set, read_only);
}

// The backing files from layer `top` downwards, as the member "backing". Given here, the files that the
// headers name are not looked at.
void write_backing(json::Writer& writer, std::size_t top) {
  writer.key("backing");
  writer.begin_object();
  write_disk_file(writer, top == 0 ? DiskFormat::raw : DiskFormat::qcow2, qemu_disk_node(top),
                  kQemuBacking + static_cast<int>(top), false, true);
  if (top > 0) write_backing(writer, top - 1);
  writer.end_object();
}

// The host's page cache serves all machines over one image, so files do not bypass it; the guest's flushes are
// honoured. What the guest discards is given back to the host.
std::string disk_node(const QemuInvocation& invocation, const DiskSource& disk) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  write_disk_file(writer, disk.format, qemu_disk_node(disk.backing.size()), kQemuDisk,
                  invocation.disk_is_block_device, false);
  if (!disk.backing.empty()) write_backing(writer, disk.backing.size() - 1);
  writer.end_object();
  return text;
}

// A comma in the value of an option is written twice.
std::string escape_commas(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == ',' ? 2 : 1, c);
  return out;
}

}  // namespace

std::string qemu_cpu_model(Acceleration acceleration) {
  if (acceleration == Acceleration::kvm) return "host";
  // TCG runs `rep movsb` byte by byte, and whoever sees ERMS copies with it: without it a guest reads its
  // page cache at 800 MB/s instead of 110 [measured, QEMU 7.2]. A fifth level of page tables makes each miss
  // of the TLB longer and is good for nothing below 64 TiB.
  return "max,erms=off,la57=off";
}

std::string qemu_disk_node(std::size_t number) {
  return fmt::format("{}{}", kQemuDiskPrefix, number);
}

std::string qemu_overlay_node(int set, std::size_t number) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  write_disk_file(writer, DiskFormat::qcow2, qemu_disk_node(number), set, false, false);
  writer.key("backing");
  writer.null();  // what is below it is known when it is put in place
  writer.end_object();
  return text;
}

std::vector<std::string> qemu_arguments(const QemuInvocation& invocation, const MachineConfig& config) {
  std::vector<std::string> arguments;
  const auto add = [&](std::initializer_list<std::string> words) {
    arguments.insert(arguments.end(), words.begin(), words.end());
  };
  // The run directory is named only so that a process whose start missed the journal can be told by its
  // arguments.
  add({invocation.binary, "-name",
       fmt::format("guest={}@{}/,process=wrenn-vm", config.sandbox_id, escape_commas(config.run_directory))});

  // suppress-vmdesc and the two globals keep out of the saved state what xen-save-devices-state does not
  // write and a later load would miss.
  add({"-M", fmt::format("{},memory-backend=ram,suppress-vmdesc=on", kQemuBoard)});
  add({"-global", "migration.send-configuration=off", "-global", "migration.store-global-state=off"});
  add({"-global", "virtio-mmio.force-legacy=off"});
  add({"-accel", config.acceleration == Acceleration::kvm
                     ? std::string(kQemuKvm)
                     : fmt::format("tcg,tb-size={}", invocation.tcg_buffer_mib)});
  add({"-cpu", qemu_cpu_model(config.acceleration)});
  add({"-smp", fmt::format("cpus={},maxcpus={}", config.vcpus, config.vcpus)});
  add({"-m", fmt::format("size={}M", config.memory_mib)});
  // merge=off: KSM would let one guest find out what is in another's memory, and would hide dirty pages from
  // us.
  add({"-object",
       fmt::format("memory-backend-file,id=ram,size={}M,mem-path=/dev/fd/{},share=off,merge=off,dump=off",
                   config.memory_mib, kQemuMemory)});

  // Nothing but what is listed; a guest that resets or powers off leaves a stopped machine that we can still
  // ask.
  add({"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-action", "shutdown=pause"});
  add({"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
  add({"-chardev", fmt::format("socket,id=monitor,fd={},server=on,wait=off", kQemuMonitor)});
  add({"-mon", "chardev=monitor,mode=control"});
  // A ring in memory: a guest that floods its console fills no disk.
  add({"-chardev", fmt::format("ringbuf,id={},size={}", kQemuConsole, limits::kConsoleBytes)});
  add({"-serial", fmt::format("chardev:{}", kQemuConsole)});

  add({"-add-fd", fmt::format("fd={},set={}", kQemuDisk, kQemuDisk)});
  for (std::size_t i = 0; i < config.disk.backing.size(); ++i) {
    const int fd = kQemuBacking + static_cast<int>(i);
    add({"-add-fd", fmt::format("fd={},set={}", fd, fd)});
  }
  add({"-blockdev", disk_node(invocation, config.disk)});
  add({"-device", fmt::format("virtio-blk-device,drive={}", qemu_disk_node(config.disk.backing.size()))});
  if (config.tap.valid()) {
    add({"-netdev", fmt::format("tap,id=net,fd={},vhost=off", kQemuTap)});
    add({"-device", fmt::format("virtio-net-device,netdev=net,mac={}", config.mac)});
  }

  if (invocation.restore) {
    // -S: paused after loading, too.
    add({"-S", "-incoming", "defer"});
  } else {
    add({"-kernel", fmt::format("/dev/fd/{}", kQemuKernel)});
    if (!config.initramfs.empty()) add({"-initrd", fmt::format("/dev/fd/{}", kQemuInitramfs)});
    add({"-append", config.command_line});
  }
  return arguments;
}

}  // namespace wrenn::agent::vmm
