#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"
#include "host_test.h"
#include "linux/device_mapper.h"
#include "linux/file.h"
#include "linux/loop_device.h"
#include "linux/mount_point.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::sys;
using namespace wrenn::host_test;

namespace {

constexpr std::uint64_t kDiskBytes = 8 * 1024 * 1024;

std::string loop_problem() {
  return loop_devices_available() ? "" : "no loop devices: /dev/loop-control does not open";
}

void put(const std::string& path, std::uint64_t offset, std::string_view text) {
  const Fd fd = open_file(path, O_WRONLY);
  pwrite_full(fd, std::as_bytes(std::span(text.data(), text.size())), offset);
  REQUIRE(::fsync(fd.get()) == 0);
}

std::string get(const std::string& path, std::uint64_t offset, std::size_t bytes) {
  std::string text(bytes, 0);
  pread_full(open_file(path, O_RDONLY), std::as_writable_bytes(std::span(text.data(), bytes)), offset);
  return text;
}

const LoopInfo* find(const std::vector<LoopInfo>& devices, const std::string& path) {
  const auto at =
      std::find_if(devices.begin(), devices.end(), [&](const LoopInfo& info) { return info.path == path; });
  return at == devices.end() ? nullptr : &*at;
}

}  // namespace

TEST_CASE_METHOD(Host, "a loop device shows its file, writes through, and detaches", "[host][disk]") {
  NEEDS(root_problem());
  NEEDS(loop_problem());
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string file = dir.path() + "/disk";
  create_sparse_file(file, kDiskBytes).reset();
  LoopDevice loop = LoopDevice::attach(file, {});
  CHECK(loop.size_bytes() == kDiskBytes);
  put(loop.path(), 4096, "written");
  CHECK(get(file, 4096, 7) == "written");
  CHECK(allocated_bytes(file) <= 64 * 1024);
  auto devices = list_loop_devices();
  REQUIRE(find(devices, loop.path()));
  CHECK(find(devices, loop.path())->backing_file == file);
  CHECK_FALSE(find(devices, loop.path())->read_only);

  const std::string path = loop.path();
  loop.release();
  {
    const auto again = LoopDevice::adopt(path);
    REQUIRE(again);
    CHECK(again->size_bytes() == kDiskBytes);
  }
  CHECK_FALSE(LoopDevice::adopt(path));
  devices = list_loop_devices();
  CHECK_FALSE(find(devices, path));
  CHECK_FALSE(LoopDevice::adopt("/dev/loop-nonexistent"));
}

TEST_CASE_METHOD(Host, "a read-only loop device refuses writes", "[host][disk]") {
  NEEDS(root_problem());
  NEEDS(loop_problem());
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string file = dir.path() + "/disk";
  create_sparse_file(file, kDiskBytes).reset();
  const LoopDevice loop = LoopDevice::attach(file, {.read_only = true, .direct_io = true});
  CHECK(find(list_loop_devices(), loop.path())->read_only);
  const Fd fd = Fd::adopt(::open(loop.path().c_str(), O_WRONLY | O_CLOEXEC));
  CHECK((!fd.valid() || ::pwrite(fd.get(), "x", 1, 0) < 0));
  CHECK_THROWS_AS(LoopDevice::attach(dir.path() + "/none", {}), SystemError);
}

TEST_CASE_METHOD(Host, "with auto_clear the last user takes the loop device along", "[host][disk]") {
  NEEDS(root_problem());
  NEEDS(loop_problem());
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string file = dir.path() + "/disk";
  create_sparse_file(file, kDiskBytes).reset();
  LoopDevice loop = LoopDevice::attach(file, {.auto_clear = true});
  const std::string path = loop.path();
  Fd user = open_file(path, O_RDONLY);
  loop.release();
  REQUIRE(find(list_loop_devices(), path));
  CHECK(find(list_loop_devices(), path)->auto_clear);
  user.reset();
  CHECK_FALSE(LoopDevice::adopt(path));
}

TEST_CASE_METHOD(Host, "a snapshot device keeps writes in its store, and finds them again", "[host][disk]") {
  NEEDS(root_problem());
  NEEDS(loop_problem());
  NEEDS(device_mapper_problem({"snapshot"}));
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string name = fmt::format("wrennt-{}", ::getpid());
  create_sparse_file(dir.path() + "/origin", kDiskBytes).reset();
  create_sparse_file(dir.path() + "/store", kDiskBytes + 1024 * 1024).reset();
  put(dir.path() + "/origin", 0, "origin");
  const LoopDevice origin = LoopDevice::attach(dir.path() + "/origin", {.read_only = true});
  const LoopDevice store = LoopDevice::attach(dir.path() + "/store", {});
  const auto table = std::vector{snapshot_target(kDiskBytes / kSectorBytes, origin.path(), store.path())};
  {
    DmDevice device = DmDevice::create(name, table);
    CHECK(exists(device.path()));
    CHECK(get(device.path(), 0, 6) == "origin");
    put(device.path(), 0, "change");
    CHECK(get(dir.path() + "/origin", 0, 6) == "origin");
    REQUIRE(device.status().size() == 1);
    CHECK(device.status()[0].type == "snapshot");
    CHECK(device.status()[0].text.find('/') != std::string::npos);
    CHECK_FALSE(device.info().suspended);
    device.suspend();
    CHECK(device.info().suspended);
    device.resume();
    CHECK(list_dm_devices("wrennt-") == std::vector<std::string>{name});
    CHECK_THROWS_AS(DmDevice::create(name, table), SystemError);

    // Busy: bounded, then an error, and it stays ours.
    Fd user = open_file(device.path(), O_RDONLY);
    CHECK(device.info().open_count == 1);
    CHECK_THROWS_AS(device.remove(), SystemError);
    user.reset();
    CHECK(device.release() == name);
  }
  {
    const auto again = DmDevice::adopt(name);
    REQUIRE(again);
    CHECK(get(again->path(), 0, 6) == "change");
  }
  CHECK_FALSE(DmDevice::adopt(name));
  CHECK_FALSE(remove_dm_device(name));
  CHECK_FALSE(exists("/dev/mapper/" + name));
  const DmDevice restored = DmDevice::create(name, table);
  CHECK(get(restored.path(), 0, 6) == "change");
}

TEST_CASE_METHOD(Host, "a table that the kernel refuses leaves no device", "[host][disk]") {
  NEEDS(root_problem());
  NEEDS(device_mapper_problem({}));
  const std::string name = fmt::format("wrennt-{}", ::getpid());
  CHECK_THROWS_AS(DmDevice::create(name, {linear_target(8, "/dev/nonexistent")}), SystemError);
  CHECK_FALSE(DmDevice::adopt(name));
  CHECK_FALSE(device_mapper_problem({"no-such-target"}).empty());
}

TEST_CASE_METHOD(Host, "mounts go with their owner", "[host][disk]") {
  NEEDS(root_problem());
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string memory = dir.path() + "/memory";
  const std::string view = dir.path() + "/a view";
  make_directories(memory);
  make_directories(view);
  const auto mounted = [](const std::string& path) {
    const auto mounts = list_mounts();
    return std::any_of(mounts.begin(), mounts.end(),
                       [&](const MountEntry& entry) { return entry.target == path; });
  };
  {
    Mount tmpfs = Mount::tmpfs(memory, 1024 * 1024, 0700);
    CHECK(mounted(memory));
    write_file_atomic(memory + "/file", "x", 0600);
    const Mount bind = Mount::bind(memory, view, true);
    CHECK(mounted(view));
    CHECK(read_file(view + "/file", 10) == "x");
    CHECK_THROWS_AS(write_file_atomic(view + "/file2", "x", 0600), SystemError);
    // remove_tree does not reach into a mount.
    CHECK_THROWS_AS(remove_tree(dir.path()), SystemError);
    CHECK(read_file(memory + "/file", 10) == "x");

    Fd busy = open_file(memory + "/file", O_RDONLY);
    CHECK_THROWS_AS(tmpfs.unmount(), SystemError);
    CHECK(mounted(memory));
    const std::string kept = tmpfs.release();
    const Mount adopted = Mount::adopt(kept);
    busy.reset();
  }
  CHECK_FALSE(mounted(memory));
  CHECK_FALSE(mounted(view));
  CHECK_THROWS_AS(Mount::bind("/nonexistent", view), SystemError);
}
