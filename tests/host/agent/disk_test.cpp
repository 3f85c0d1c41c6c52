// Root disks on real kernel objects, checked by tools that are not ours.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <optional>

#include "agent/disk/dm_snapshot.h"
#include "agent/disk/root_disk.h"
#include "core/base/error.h"
#include "host_test.h"
#include "linux/command.h"
#include "linux/device_mapper.h"
#include "linux/fd.h"
#include "linux/file.h"
#include "linux/loop_device.h"
#include "linux/mount_point.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::agent::disk;
using namespace wrenn::host_test;

namespace {

constexpr std::uint64_t kImageBytes = 64 * 1024 * 1024;

std::string make_image(const std::string& directory) {
  const std::string path = directory + "/image";
  const sys::Fd file = sys::create_sparse_file(path, kImageBytes);
  sys::pwrite_full(file, std::as_bytes(std::span(std::string_view("from the image"))), 8192);
  return path;
}

std::string run(std::vector<std::string> argv) {
  sys::SpawnOptions options;
  options.argv = std::move(argv);
  options.env = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"};
  const auto result = sys::run_command(std::move(options), "", std::chrono::seconds(20));
  return (result.status.success() ? "" : "FAILED: ") + result.output + result.error;
}

std::string tool_problem() {
  try {
    run({"qemu-img", "--version"});
    return "";
  } catch (const Error&) {
    return "qemu-img is not installed (Debian: qemu-utils)";
  }
}

std::string dm_problem() {
  if (const std::string root = root_problem(); !root.empty()) return root;
  const auto answer = find_disk_kind();
  return answer.kind == DiskKind::dm_snapshot ? "" : answer.why;
}

}  // namespace

TEST_CASE_METHOD(Host, "a new qcow2 disk is what QEMU's tools make of one", "[host][disk]") {
  NEEDS(tool_problem());
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  DiskSpec spec;
  spec.sandbox_id = "cl-test";
  spec.image = make_image(directory.path());
  spec.cow_path = directory.path() + "/cow";
  const std::uint64_t sizes[] = {0, kImageBytes, kImageBytes + 512, 1536ULL << 20, 16ULL << 40};
  for (const std::uint64_t size : sizes) {
    CAPTURE(size);
    spec.size_bytes = size;
    const DiskRecord record = create_disk(DiskKind::qcow2, spec);
    CHECK(record.size_bytes == std::max(size, kImageBytes));
    CHECK(allocated_bytes(record) <= 64 * 1024);
    const std::string check = run({"qemu-img", "check", record.cow_path});
    CHECK(check.find("No errors were found") != std::string::npos);
    const std::string info = run({"qemu-img", "info", "--output=json", record.cow_path});
    CHECK(info.find(fmt::format("\"virtual-size\": {}", record.size_bytes)) != std::string::npos);
    CHECK(info.find("\"backing-filename-format\": \"raw\"") != std::string::npos);
    CHECK(info.find(spec.image) != std::string::npos);
    CHECK_THROWS_AS(create_disk(DiskKind::qcow2, spec), Error);  // exists
    open_disk(record);
    release_disk(record);
    destroy_disk(record);
    destroy_disk(record);
    CHECK_FALSE(sys::exists(record.cow_path));
  }
}

TEST_CASE_METHOD(Host, "writes go to the qcow2 file and leave the image alone", "[host][disk]") {
  NEEDS(tool_problem());
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  DiskSpec spec;
  spec.sandbox_id = "cl-test";
  spec.image = make_image(directory.path());
  spec.cow_path = directory.path() + "/cow";
  const DiskRecord record = create_disk(DiskKind::qcow2, spec);
  // Small writes all over, one beyond 16 MiB in one go, then what was read before.
  const std::string io =
      run({"qemu-io", "-f", "qcow2", "-c", "write -P 0x41 4096 4096", "-c", "write -P 0x42 1M 20M", "-c",
           "write -P 0x43 33558528 512", "-c", "discard 2M 4M", "-c", "read -P 0x41 4096 4096", "-c",
           "read -P 0x42 10M 1M", "-c", "read -P 0 40M 1M", record.cow_path});
  CHECK(io.find("FAILED") == std::string::npos);
  CHECK(io.find("failed") == std::string::npos);
  const std::string check = run({"qemu-img", "check", record.cow_path});
  CHECK(check.find("No errors were found") != std::string::npos);
  std::string text(14, '\0');
  sys::pread_full(sys::open_file(spec.image, O_RDONLY),
                  std::as_writable_bytes(std::span(text.data(), text.size())), 8192);
  CHECK(text == "from the image");
  // A first write of 4 KiB costs three clusters of 64 KiB: its own, an L2 table and what refcounts changed.
  const DiskRecord small = [&] {
    DiskSpec other = spec;
    other.cow_path = directory.path() + "/small";
    return create_disk(DiskKind::qcow2, other);
  }();
  const std::uint64_t before = allocated_bytes(small);
  run({"qemu-io", "-f", "qcow2", "-c", "write -P 0x41 12M 4096", small.cow_path});
  CHECK(allocated_bytes(small) - before <= 3 * 64 * 1024);
  destroy_disk(small);
  destroy_disk(record);
}

TEST_CASE_METHOD(Host, "a disk whose image or header changed is refused", "[host][disk]") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  DiskSpec spec;
  spec.sandbox_id = "cl-test";
  spec.image = make_image(directory.path());
  spec.cow_path = directory.path() + "/cow";
  const DiskRecord record = create_disk(DiskKind::qcow2, spec);
  open_disk(record);
  {
    const sys::Fd cow = sys::open_file(record.cow_path, O_RDWR);
    sys::pwrite_full(cow, std::as_bytes(std::span(std::string_view("/etc/shadow"))), 128);
  }
  CHECK_THROWS_AS(open_disk(record), Error);
  destroy_disk(record);
  CHECK_THROWS_AS(open_disk(record), Error);  // gone
  const DiskRecord again = create_disk(DiskKind::qcow2, spec);
  REQUIRE(::truncate(spec.image.c_str(), kImageBytes * 2) == 0);
  CHECK_THROWS_AS(open_disk(again), Error);
  spec.image += "-missing";
  spec.cow_path += "2";
  CHECK_THROWS_AS(create_disk(DiskKind::qcow2, spec), Error);
  CHECK_FALSE(sys::exists(spec.cow_path));
  destroy_disk(again);
}

TEST_CASE_METHOD(Host, "device-mapper disks share their image and can be set up again", "[host][disk]") {
  NEEDS(dm_problem());
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string image = make_image(directory.path());
  std::vector<DiskRecord> records;
  for (const char* id : {"cl-test1", "cl-test2"}) {
    DiskSpec spec;
    spec.sandbox_id = id;
    spec.image = image;
    spec.cow_path = directory.path() + "/" + id;
    records.push_back(create_disk(DiskKind::dm_snapshot, spec));
  }
  int origins = 0;
  for (const auto& loop : sys::list_loop_devices())
    if (loop.backing_file == image) ++origins;
  CHECK(origins == 1);
  const auto write = [&](const DiskRecord& record, std::string_view text) {
    const sys::Fd device = sys::open_file(disk_source(record).path, O_RDWR);
    sys::pwrite_full(device, std::as_bytes(std::span(text)), 8192);
    REQUIRE(::fsync(device.get()) == 0);
  };
  const auto read = [&](const DiskRecord& record) {
    std::string text(14, '\0');
    const sys::Fd device = sys::open_file(disk_source(record).path, O_RDONLY);
    sys::pread_full(device, std::as_writable_bytes(std::span(text.data(), text.size())), 8192);
    return text;
  };
  CHECK(read(records[0]) == "from the image");
  write(records[0], "from guest one");
  CHECK(read(records[1]) == "from the image");
  release_disk(records[0]);
  release_disk(records[0]);
  open_disk(records[0]);
  open_disk(records[0]);
  CHECK(read(records[0]) == "from guest one");
  CHECK(list_leftover_devices().size() >= 2);
  for (const DiskRecord& record : records) destroy_disk(record);
}

namespace {

// A file system of its own, so that it can be filled: an ext4 image on a loop device.
class SmallFileSystem {
 public:
  SmallFileSystem(const std::string& directory, std::uint64_t bytes) : directory_(directory + "/small") {
    const std::string image = directory + "/small.ext4";
    (void)sys::create_sparse_file(image, bytes);
    const std::string made = run({"mke2fs", "-q", "-t", "ext4", "-F", "-m", "0", image});
    if (!made.empty()) FAIL(made);
    loop_.emplace(sys::LoopDevice::attach(image, {}));
    sys::make_directories(directory_);
    REQUIRE(::mount(loop_->path().c_str(), directory_.c_str(), "ext4", 0, nullptr) == 0);
    mount_.emplace(sys::Mount::adopt(directory_));
  }
  const std::string& directory() const noexcept { return directory_; }
  // Takes all room but `left_bytes` of it.
  void fill(std::uint64_t left_bytes) {
    struct statvfs room{};
    REQUIRE(::statvfs(directory_.c_str(), &room) == 0);
    const std::uint64_t available = room.f_bavail * room.f_bsize;
    REQUIRE(available > left_bytes);
    const sys::Fd file = sys::create_sparse_file(directory_ + "/filler", available - left_bytes);
    REQUIRE(::fallocate(file.get(), 0, 0, static_cast<off_t>(available - left_bytes)) == 0);
  }
  void clear() { REQUIRE(::unlink((directory_ + "/filler").c_str()) == 0); }

 private:
  std::string directory_;
  std::optional<sys::LoopDevice> loop_;
  std::optional<sys::Mount> mount_;
};

constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kBigImageBytes = 400 * kMiB;

DiskRecord make_dm_disk(const std::string& directory, const std::string& cow_directory) {
  DiskSpec spec;
  spec.sandbox_id = "cl-full";
  spec.image = directory + "/big";
  if (!sys::exists(spec.image)) (void)sys::create_sparse_file(spec.image, kBigImageBytes);
  spec.cow_path = cow_directory + "/cow";
  return create_disk(DiskKind::dm_snapshot, spec);
}

// Writes `bytes` at `offset` past the page cache of the device; false when the device refuses.
bool write_device(const DiskRecord& record, std::uint64_t offset, std::uint64_t bytes) {
  const sys::Fd device = sys::open_file(disk_source(record).path, O_RDWR);
  const std::string block(kMiB, 'x');
  for (std::uint64_t done = 0; done < bytes; done += block.size())
    if (::pwrite(device.get(), block.data(), block.size(), static_cast<off_t>(offset + done)) !=
        static_cast<ssize_t>(block.size()))
      return false;
  return ::fsync(device.get()) == 0;
}

}  // namespace

TEST_CASE_METHOD(Host, "room for a device-mapper disk is taken ahead and given back", "[host][disk]") {
  NEEDS(dm_problem());
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  SmallFileSystem host(directory.path(), 512 * kMiB);
  const DiskRecord record = make_dm_disk(directory.path(), host.directory());
  StoreLevel level = reserve_dm_store(record);
  CHECK(level.room == StoreRoom::ample);
  CHECK(level.used_bytes < kMiB);
  CHECK(level.total_bytes > kBigImageBytes);
  CHECK(sys::allocated_bytes(record.cow_path) >= kStoreAheadBytes);
  CHECK(allocated_bytes(record) == level.used_bytes);  // what was taken ahead is not the sandbox's

  // With the host's disk full, what was taken ahead can still be written.
  host.fill(kMiB);
  CHECK(reserve_dm_store(record).room == StoreRoom::ample);
  CHECK(write_device(record, 0, 40 * kMiB));
  CHECK(reserve_dm_store(record).room == StoreRoom::low);
  CHECK(write_device(record, 40 * kMiB, 40 * kMiB));
  const std::uint64_t left = sys::free_disk_bytes(host.directory());
  level = reserve_dm_store(record);
  CHECK(level.room == StoreRoom::none);
  CHECK(sys::free_disk_bytes(host.directory()) == left);  // the last of it is for others
  CHECK(level.used_bytes > 80 * kMiB);
  // Room came back: the machine may run on.
  host.clear();
  CHECK(reserve_dm_store(record).room == StoreRoom::ample);
  CHECK(write_device(record, 80 * kMiB, 40 * kMiB));

  close_dm_snapshot(record);
  close_dm_snapshot(record);
  CHECK(sys::allocated_bytes(record.cow_path) < 130 * kMiB);
  open_disk(record);
  std::string text(2, '\0');
  sys::pread_full(sys::open_file(disk_source(record).path, O_RDONLY),
                  std::as_writable_bytes(std::span(text.data(), text.size())), 119 * kMiB);
  CHECK(text == "xx");
  destroy_disk(record);
  CHECK_THROWS_AS(reserve_dm_store(record), SystemError);
}

TEST_CASE_METHOD(Host, "a device-mapper disk that the kernel gave up is told, not used", "[host][disk]") {
  NEEDS(dm_problem());
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  SmallFileSystem host(directory.path(), 128 * kMiB);
  const DiskRecord record = make_dm_disk(directory.path(), host.directory());
  host.fill(8 * kMiB);
  CHECK_FALSE(write_device(record, 0, 64 * kMiB));  // nobody took room ahead
  for (const auto& use : {+[](const DiskRecord& disk) { (void)reserve_dm_store(disk); },
                          +[](const DiskRecord& disk) { open_disk(disk); },
                          +[](const DiskRecord& disk) {
                            release_disk(disk);
                            open_disk(disk);
                          }}) {
    try {
      use(record);
      FAIL("a lost disk was opened");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::data_loss);
    }
  }
  destroy_disk(record);
}

TEST_CASE_METHOD(Host, "a device of our name over other files is left alone", "[host][disk]") {
  NEEDS(dm_problem());
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const DiskRecord record = make_dm_disk(directory.path(), directory.path());
  DiskRecord other = record;
  other.cow_path = directory.path() + "/other";
  (void)sys::create_sparse_file(other.cow_path, dm_cow_bytes(kBigImageBytes));
  CHECK_THROWS_AS(open_disk(other), Error);
  open_disk(record);
  destroy_disk(record);
}
