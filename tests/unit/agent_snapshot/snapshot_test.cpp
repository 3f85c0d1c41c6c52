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

const Secret kKey("the key of this host");

// We are the machine ourselves: this process maps a base and writes a byte into it.
class Self {
 public:
  Self() : base_(MemoryBase::zeros(kMib)) {
    memory_ = static_cast<char*>(
        ::mmap(nullptr, kMib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, base_->fd().get(), 0));
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~Self() { ::munmap(memory_, kMib << 20); }
  void write(char value) { memory_[5000] = value; }
  char at(std::size_t offset) const { return memory_[offset]; }
  vmm::MachineRecord record() const {
    vmm::MachineRecord record;
    record.pid = ::getpid();
    record.start_time = sys::read_proc_stat(::getpid())->start_time;
    record.memory_mapping = base_->mapping();
    record.memory_mib = kMib;
    return record;
  }

 private:
  std::shared_ptr<const MemoryBase> base_;
  char* memory_;
};

void take(const std::string& root, Self& self, char value) {
  self.write(value);
  auto draft = Draft::begin(root, kId);
  sys::write_full(draft.state_file(), std::string("state ") + value);
  draft.write_pages(self.record());
  draft.commit(example(), kKey);
}

// What a machine that goes on from it has there.
char byte_at(const Snapshot& snapshot, std::size_t offset) {
  Self fresh;
  restore_pages(*snapshot.pages, snapshot.manifest.pages_checksum, fresh.record());
  return fresh.at(offset);
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
  Self self;
  CHECK_FALSE(load(root, kId, kKey));
  CHECK(list(root).empty());
  take(root, self, 'a');
  auto snapshot = load(root, kId, kKey);
  REQUIRE(snapshot);
  CHECK(byte_at(*snapshot, 5000) == 'a');
  CHECK(snapshot->manifest.pages_bytes == 2 * kPageBytes + 32);  // header, one page, one run, its checksum  // index and one page
  CHECK(snapshot->manifest.device_state_bytes == 7);
  CHECK(snapshot->manifest.vcpus == 2);
  CHECK(snapshot->manifest.disk.image == "/images/x");
  CHECK(list(root) == std::vector<std::string>{kId});

  take(root, self, 'b');
  snapshot = load(root, kId, kKey);
  REQUIRE(snapshot);
  CHECK(byte_at(*snapshot, 5000) == 'b');
  CHECK(entries(root) == 1);  // the earlier one is gone

  retire(*snapshot);
  retire(*snapshot);
  CHECK_FALSE(load(root, kId, kKey));
  CHECK(list(root).empty());
  take(root, self, 'c');  // and the next pause takes its place
  REQUIRE(load(root, kId, kKey));
  remove(root, kId);
  remove(root, kId);
  CHECK(entries(root) == 0);
}

TEST_CASE("a draft that is not committed leaves the earlier snapshot alone") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string root = directory.path() + "/snapshots";
  Self self;
  take(root, self, 'a');
  {
    auto draft = Draft::begin(root, kId);
    sys::write_full(draft.state_file(), std::string_view("half"));
  }
  CHECK(byte_at(*load(root, kId, kKey), 5000) == 'a');
  CHECK(sweep_drafts(root) == 0);
  {
    auto draft = Draft::begin(root, kId);
    draft.write_pages(self.record());
    CHECK_THROWS_AS(draft.commit(example(), kKey), Error);  // no device state
  }
  CHECK(byte_at(*load(root, kId, kKey), 5000) == 'a');
  // What a crash leaves behind is swept.
  sys::make_directories(root + "/.draft-cl-test-abc");
  CHECK(list(root) == std::vector<std::string>{kId});
  CHECK(sweep_drafts(root) == 1);
  CHECK(sweep_drafts(root) == 0);
}

TEST_CASE("damage is found before anything is resumed from it") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string root = directory.path() + "/snapshots";
  Self self;
  take(root, self, 'a');
  const Snapshot snapshot = *load(root, kId, kKey);
  const auto is_damaged = [&] {
    try {
      (void)load(root, kId, kKey);
    } catch (const Error& error) {
      return error.code() == ErrorCode::data_loss;
    }
    return false;
  };
  CHECK_FALSE(is_damaged());
  SECTION("device state changed") {
    sys::pwrite_full(sys::open_file(snapshot.directory + "/device-state", O_WRONLY),
                     std::as_bytes(std::span(std::string_view("S"))), 0);
    CHECK(is_damaged());
  }
  SECTION("device state missing") {
    ::unlink((snapshot.directory + "/device-state").c_str());
    CHECK(is_damaged());
  }
  SECTION("memory cut") {
    REQUIRE(::truncate((snapshot.directory + "/pages").c_str(), 4096) == 0);
    CHECK(is_damaged());
  }
  SECTION("memory missing") {
    ::unlink((snapshot.directory + "/pages").c_str());
    CHECK(is_damaged());
  }
  SECTION("manifest unreadable") {
    sys::write_file_atomic(snapshot.directory + "/manifest.json", "{", 0600);
    CHECK(is_damaged());
  }
  SECTION("manifest changed: every flipped bit that changes its meaning breaks the seal") {
    const std::string path = snapshot.directory + "/manifest.json";
    const std::string good = sys::read_file(path, 100'000);
    const std::string was = json::to_json(snapshot.manifest);
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      CAPTURE(at, bad);
      Manifest seen;
      std::string said;
      try {
        seen = parse_manifest(bad, kKey, "it");
      } catch (const Error& error) {
        said = error.what();
      }
      // Either it is refused, or the flip has no meaning (a letter of a number's spelling, say).
      CHECK((!said.empty() || json::to_json(seen) == was));
    }
    sys::write_file_atomic(path, good, 0600);
    CHECK_FALSE(is_damaged());
  }
  SECTION("another host's key") {
    const std::string said = message_of([&] { (void)load(root, kId, Secret("the key of another host")); });
    CHECK(said.find("seal is wrong") != std::string::npos);
    CHECK(said.find("snapshot.key") != std::string::npos);
  }
  SECTION("a later format is not damage, but refused") {
    Manifest later = snapshot.manifest;
    later.format = Manifest::kFormat + 1;
    sys::write_file_atomic(snapshot.directory + "/manifest.json", seal_manifest(later, kKey), 0600);
    CHECK(message_of([&] { (void)load(root, kId, kKey); }).find("format 3") != std::string::npos);
  }
}

TEST_CASE("what is loaded stays whole when another takes its place; links share what does not change") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string root = directory.path() + "/snapshots";
  Self self;
  take(root, self, 'a');
  const Snapshot first = *load(root, kId, kKey);
  {
    auto draft = Draft::begin(directory.path() + "/others", "x");
    draft.link_from(first);
    draft.commit(first.manifest, kKey);
  }
  take(root, self, 'b');
  CHECK(byte_at(first, 5000) == 'a');
  CHECK(sys::read_up_to(open_device_state(first), 100) == "state a");
  CHECK(sys::read_up_to(open_device_state(first), 100) == "state a");  // from its start, each time
  CHECK(byte_at(*load(directory.path() + "/others", "x", kKey), 5000) == 'a');
  Snapshot loose;
  {
    auto draft = Draft::begin(root, "y");
    sys::write_full(draft.state_file(), std::string_view("state y"));
    self.write('y');
    draft.write_pages(self.record());
    loose = draft.detach(example());
  }
  CHECK(byte_at(loose, 5000) == 'y');
  CHECK(sys::read_up_to(open_device_state(loose), 100) == "state y");
  CHECK(list(root) == std::vector<std::string>{kId});
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
