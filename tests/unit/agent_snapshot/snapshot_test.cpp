#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <functional>

#include "agent/snapshot/snapshot.h"
#include "core/base/error.h"
#include "linux/file.h"
#include "linux/procfs.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::agent;
using namespace wrenn::agent::snapshot;

namespace {

constexpr int kMib = 1;
const std::string kId = "cl-test";

Manifest example() {
  Manifest manifest;
  manifest.sandbox_id = kId;
  manifest.vcpus = 2;
  manifest.memory_mib = kMib;
  manifest.vmm_version = "qemu 7.2.22";
  manifest.cpu_model = "max";
  manifest.disk.sandbox_id = kId;
  manifest.disk.image = "/images/x";
  manifest.disk.cow_path = "/cow";
  return manifest;
}

// We are the machine ourselves: this process maps a base and writes a byte into it.
class Self {
 public:
  explicit Self(const std::string& directory) : path_(directory + "/base") {
    const sys::Fd file = sys::create_sparse_file(path_, kMib << 20);
    memory_ =
        static_cast<char*>(::mmap(nullptr, kMib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0));
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~Self() { ::munmap(memory_, kMib << 20); }
  void write(char value) { memory_[5000] = value; }
  vmm::MachineRecord record() const {
    vmm::MachineRecord record;
    record.pid = ::getpid();
    record.start_time = sys::read_proc_stat(::getpid())->start_time;
    record.memory_file = path_;
    record.memory_mib = kMib;
    return record;
  }

 private:
  std::string path_;
  char* memory_;
};

Snapshot take(const std::string& root, Self& self, char value) {
  self.write(value);
  auto draft = Draft::begin(root, kId);
  sys::write_full(draft.state_file(), std::string("state ") + value);
  draft.write_memory(self.record());
  return draft.commit(example());
}

char byte_at(const Snapshot& snapshot, std::uint64_t offset) {
  std::byte value{};
  sys::pread_full(sys::open_file(snapshot.memory_path(), O_RDONLY), std::span(&value, 1), offset);
  return static_cast<char>(value);
}

std::size_t entries(const std::string& root) {
  std::size_t count = 0;
  for (const char* name : {"cl-test"}) count += sys::exists(root + "/" + name) ? 1 : 0;
  return count + static_cast<std::size_t>(sweep_drafts(root));
}

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("a snapshot is there whole, replaced whole, retired and removed") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string root = directory.path() + "/snapshots";
  Self self(directory.path());
  CHECK_FALSE(load(root, kId));
  CHECK(list(root).empty());
  take(root, self, 'a');
  auto snapshot = load(root, kId);
  REQUIRE(snapshot);
  CHECK(byte_at(*snapshot, 5000) == 'a');
  CHECK(snapshot->manifest.memory_bytes == kMib << 20);
  CHECK(snapshot->manifest.memory_allocated_bytes <= 64 * 1024);
  CHECK(snapshot->manifest.device_state_bytes == 7);
  CHECK(snapshot->manifest.vcpus == 2);
  CHECK(snapshot->manifest.disk.image == "/images/x");
  CHECK(list(root) == std::vector<std::string>{kId});

  take(root, self, 'b');
  snapshot = load(root, kId);
  REQUIRE(snapshot);
  CHECK(byte_at(*snapshot, 5000) == 'b');
  CHECK(entries(root) == 1);  // the earlier one is gone

  retire(*snapshot);
  retire(*snapshot);
  CHECK_FALSE(load(root, kId));
  CHECK(list(root).empty());
  CHECK(byte_at(*snapshot, 5000) == 'b');  // still the base of what runs
  take(root, self, 'c');                   // and the next pause takes its place
  REQUIRE(load(root, kId));
  remove(root, kId);
  remove(root, kId);
  CHECK(entries(root) == 0);
}

TEST_CASE("a draft that is not committed leaves the earlier snapshot alone") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string root = directory.path() + "/snapshots";
  Self self(directory.path());
  take(root, self, 'a');
  {
    auto draft = Draft::begin(root, kId);
    sys::write_full(draft.state_file(), std::string_view("half"));
  }
  CHECK(byte_at(*load(root, kId), 5000) == 'a');
  CHECK(sweep_drafts(root) == 0);
  {
    auto draft = Draft::begin(root, kId);
    draft.write_memory(self.record());
    CHECK_THROWS_AS(draft.commit(example()), Error);  // no device state
  }
  CHECK(byte_at(*load(root, kId), 5000) == 'a');
  // What a crash leaves behind is swept.
  sys::make_directories(root + "/.draft-cl-test-abc");
  CHECK(list(root) == std::vector<std::string>{kId});
  CHECK(sweep_drafts(root) == 1);
  CHECK(sweep_drafts(root) == 0);
}

TEST_CASE("damage is found before anything is resumed from it") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string root = directory.path() + "/snapshots";
  Self self(directory.path());
  const Snapshot snapshot = take(root, self, 'a');
  const auto is_damaged = [&] {
    try {
      (void)load(root, kId);
    } catch (const Error& error) {
      return error.code() == ErrorCode::data_loss;
    }
    return false;
  };
  CHECK_FALSE(is_damaged());
  SECTION("device state changed") {
    sys::pwrite_full(sys::open_file(snapshot.device_state_path(), O_WRONLY),
                     std::as_bytes(std::span(std::string_view("S"))), 0);
    CHECK(is_damaged());
  }
  SECTION("device state missing") {
    ::unlink(snapshot.device_state_path().c_str());
    CHECK(is_damaged());
  }
  SECTION("memory cut") {
    REQUIRE(::truncate(snapshot.memory_path().c_str(), 4096) == 0);
    CHECK(is_damaged());
  }
  SECTION("memory missing") {
    ::unlink(snapshot.memory_path().c_str());
    CHECK(is_damaged());
  }
  SECTION("manifest unreadable") {
    sys::write_file_atomic(snapshot.directory + "/manifest.json", "{", 0600);
    CHECK(is_damaged());
  }
  SECTION("a later format is not damage, but refused") {
    Manifest later = snapshot.manifest;
    later.format = kFormat + 1;
    sys::write_file_atomic(snapshot.directory + "/manifest.json", json::to_json(later), 0600);
    CHECK(message_of([&] { (void)load(root, kId); }).find("format 2") != std::string::npos);
  }
}

TEST_CASE("a host that does not fit is refused with what differs and what to do") {
  const Manifest manifest = example();
  const ResumeHost same{"qemu 7.2.22", vmm::Acceleration::tcg, "max"};
  CHECK_NOTHROW(check(manifest, same));
  struct Row {
    ResumeHost host;
    const char* said;
  };
  const Row rows[] = {{{"qemu 8.0.0", vmm::Acceleration::tcg, "max"}, "qemu 8.0.0 is installed"},
                      {{"qemu 7.2.22", vmm::Acceleration::kvm, "max"}, "this host uses kvm"},
                      {{"qemu 7.2.22", vmm::Acceleration::tcg, "host"}, "this host has host"}};
  for (const Row& row : rows) {
    const std::string message = message_of([&] { check(manifest, row.host); });
    CAPTURE(message);
    CHECK(message.find(row.said) != std::string::npos);
    CHECK(message.find("destroy the capsule") != std::string::npos);
  }
}
