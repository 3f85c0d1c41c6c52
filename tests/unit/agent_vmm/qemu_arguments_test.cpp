#include <catch2/catch.hpp>

#include <algorithm>

#include "agent/vmm/qemu_arguments.h"
#include "core/json/reader.h"

using namespace wrenn;
using namespace wrenn::agent::vmm;

namespace {

MachineConfig example() {
  MachineConfig config;
  config.sandbox_id = "cl-1";
  config.vcpus = 2;
  config.memory_mib = 512;
  config.kernel = "/k/vmlinux";
  config.initramfs = "/k/initramfs";
  config.command_line = "console=ttyS0 a,b=c";
  config.memory_mapping = "/memfd:x (deleted)";
  config.disk = {DiskFormat::qcow2, "/d/cow", {"/i/rootfs", "/l/disk-1"}};
  config.tap = sys::FdView(9);
  config.mac = "02:FC:00:00:00:05";
  config.run_directory = "/d,x/run";
  return config;
}

using Arguments = std::vector<std::string>;

// The values of every occurrence of an option.
Arguments values(const Arguments& arguments, std::string_view option) {
  Arguments found;
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
    if (arguments[i] == option) found.push_back(arguments[i + 1]);
  return found;
}

bool has(const Arguments& arguments, std::string_view word) {
  return std::find(arguments.begin(), arguments.end(), word) != arguments.end();
}

}  // namespace

TEST_CASE("a booting and a restored machine look the same to the guest") {
  QemuInvocation invocation{.binary = "qemu", .tcg_buffer_mib = 64};
  const MachineConfig config = example();
  const Arguments boot = qemu_arguments(invocation, config);
  invocation.restore = true;
  const Arguments restore = qemu_arguments(invocation, config);
  for (const char* option :
       {"-M", "-cpu", "-smp", "-m", "-device", "-global", "-serial", "-object", "-accel"}) {
    CAPTURE(option);
    CHECK_FALSE(values(boot, option).empty());
    CHECK(values(boot, option) == values(restore, option));
  }
  CHECK(values(boot, "-append") == Arguments{"console=ttyS0 a,b=c"});
  CHECK(values(boot, "-kernel").size() == 1);
  CHECK(values(boot, "-incoming").empty());
  CHECK_FALSE(has(boot, "-S"));
  CHECK(values(restore, "-kernel").empty());
  CHECK(values(restore, "-append").empty());
  CHECK(values(restore, "-incoming") == Arguments{"defer"});
  CHECK(has(restore, "-S"));  // or it would run before we say so
}

TEST_CASE("no path that the VMM's user might not reach is named") {
  const Arguments arguments = qemu_arguments({.binary = "qemu", .tcg_buffer_mib = 64}, example());
  for (const std::string& argument : arguments) {
    CAPTURE(argument);
    CHECK(argument.find("/k/") == std::string::npos);
    CHECK(argument.find("/d/") == std::string::npos);
    CHECK(argument.find("/i/") == std::string::npos);
  }
  // but for the name, whose commas are escaped
  CHECK(values(arguments, "-name") == Arguments{"guest=cl-1@/d,,x/run/,process=wrenn-vm"});
}

TEST_CASE("the machine is confined") {
  const Arguments arguments = qemu_arguments({.binary = "qemu", .tcg_buffer_mib = 64}, example());
  CHECK(has(arguments, "-nodefaults"));
  CHECK(has(arguments, "-no-user-config"));
  CHECK(has(arguments, "-no-reboot"));
  const auto sandbox = values(arguments, "-sandbox");
  REQUIRE(sandbox.size() == 1);
  for (const char* part :
       {"on", "obsolete=deny", "elevateprivileges=deny", "spawn=deny", "resourcecontrol=deny"})
    CHECK(sandbox[0].find(part) != std::string::npos);
  const auto objects = values(arguments, "-object");
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].find("share=off") != std::string::npos);
  CHECK(objects[0].find("merge=off") != std::string::npos);
  CHECK(objects[0].find("size=512M") != std::string::npos);
}

TEST_CASE("the disk is what was asked for") {
  MachineConfig config = example();
  const auto node = [&](bool block) {
    const QemuInvocation invocation{.binary = "qemu", .disk_is_block_device = block};
    return json::parse(values(qemu_arguments(invocation, config), "-blockdev").at(0));
  };
  json::Value qcow2 = node(false);
  CHECK(qcow2.text_of("driver") == "qcow2");
  CHECK(qcow2.find("file")->text_of("driver") == "file");
  // From the disk down to the image, each with a name of its own, and only the top written.
  CHECK(qcow2.text_of("node-name") == "disk-2");
  const json::Value* layer = qcow2.find("backing");
  REQUIRE(layer != nullptr);
  CHECK(layer->text_of("driver") == "qcow2");
  CHECK(layer->text_of("node-name") == "disk-1");
  CHECK(layer->find("file")->text_of("filename") == "/dev/fdset/10");
  const json::Value* image = layer->find("backing");
  REQUIRE(image != nullptr);
  CHECK(image->text_of("driver") == "raw");
  CHECK(image->text_of("node-name") == "disk-0");
  CHECK(image->find("file")->text_of("filename") == "/dev/fdset/9");
  for (const json::Value* below : {layer, image}) {
    CHECK(below->find("read-only")->as_bool() == true);
    CHECK(below->find("file")->find("read-only")->as_bool() == true);
  }
  const json::Value overlay = json::parse(qemu_overlay_node(1002, 3));
  CHECK(overlay.text_of("node-name") == "disk-3");
  CHECK(overlay.find("backing")->is_null());
  config.disk = {DiskFormat::raw, "/dev/mapper/x", {}};
  json::Value raw = node(true);
  CHECK(raw.text_of("driver") == "raw");
  CHECK(raw.find("file")->text_of("driver") == "host_device");
  CHECK(raw.find("backing") == nullptr);
  // What a stopped guest has written must not be on its way to the device.
  CHECK(raw.find("cache")->find("direct")->as_bool() == true);
  CHECK(qcow2.find("cache") == nullptr);
}

TEST_CASE("a machine without a network has no network card") {
  MachineConfig config = example();
  config.tap = {};
  const Arguments arguments = qemu_arguments({.binary = "qemu"}, config);
  CHECK(values(arguments, "-netdev").empty());
  CHECK(values(arguments, "-device").size() == 1);
}
