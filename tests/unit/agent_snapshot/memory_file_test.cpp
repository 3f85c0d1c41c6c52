// The memory of a process that is not a VMM, but maps a file privately as one does.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>

#include "agent/snapshot/memory_file.h"
#include "core/base/error.h"
#include "linux/file.h"
#include "linux/procfs.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::agent;
using namespace wrenn::agent::snapshot;

namespace {

constexpr int kMib = 4;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kPages = kMib * 1024 * 1024 / kPage;

// A child that has changed its private mapping of `path` as `change` says, and then waits.
class Child {
 public:
  template <typename F>
  Child(const std::string& path, F change) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int fd = ::open(path.c_str(), O_RDWR);
      auto* memory = static_cast<unsigned char*>(
          ::mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
      change(memory);
      (void)!::write(ready[1], "r", 1);
      for (;;) ::pause();
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
    record_.pid = pid_;
    record_.start_time = sys::read_proc_stat(pid_)->start_time;
    record_.memory_file = path;
    record_.memory_mib = kMib;
  }
  ~Child() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  const vmm::MachineRecord& record() const { return record_; }

 private:
  pid_t pid_ = 0;
  vmm::MachineRecord record_;
};

}  // namespace

TEST_CASE("pages are cut into zero and other stretches") {
  const auto cut = [](std::string_view pattern) {  // one letter a page, '0' is a zero page
    std::vector<std::byte> data(pattern.size() * kPage);
    for (std::size_t i = 0; i < pattern.size(); ++i)
      if (pattern[i] != '0') data[i * kPage + (i % kPage)] = std::byte{1};
    std::vector<Stretch> stretches;
    append_stretches(data, kPage, stretches);
    std::string text;
    for (const Stretch& stretch : stretches)
      text += (stretch.zero ? "z" : "d") + std::to_string(stretch.offset / kPage) + "+" +
              std::to_string(stretch.bytes / kPage) + " ";
    return text;
  };
  CHECK(cut("") == "");
  CHECK(cut("0") == "z0+1 ");
  CHECK(cut("00x00") == "z0+2 d2+1 z3+2 ");
  CHECK(cut("xx0") == "d0+2 z2+1 ");
  // The last byte of a page counts.
  std::vector<std::byte> page(kPage);
  page.back() = std::byte{1};
  std::vector<Stretch> stretches;
  append_stretches(page, kPage, stretches);
  CHECK_FALSE(stretches.at(0).zero);
}

TEST_CASE("what a process changed is in the file, also where it became zero, and nothing else changed") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string base = directory.path() + "/base";
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::vector<unsigned char> expected(kPages * kPage);
  {
    const sys::Fd file = sys::create_sparse_file(base, kPages * kPage);
    for (std::size_t page = 0; page < kPages; ++page)
      if (random() % 3 == 0) {
        for (std::size_t i = 0; i < kPage; i += 64)
          expected[page * kPage + i] = static_cast<unsigned char>(random() | 1);
        sys::pwrite_full(file, std::as_bytes(std::span(expected).subspan(page * kPage, kPage)), page * kPage);
      }
  }
  const std::vector<unsigned char> before = expected;
  std::size_t dirty = 0;
  std::size_t zeroed = 0;
  for (std::size_t page = 0; page < kPages; ++page) {
    const auto choice = random() % 8;
    auto* at = expected.data() + page * kPage;
    if (choice == 0) {
      std::memset(at, 0, kPage);
      ++zeroed;
    } else if (choice == 1) {
      at[kPage - 1] ^= 0x55;
      at[0] |= 1;
    }
    if (choice <= 1) ++dirty;
  }
  // The child writes exactly the pages that differ.
  std::vector<bool> touched(kPages);
  for (std::size_t page = 0; page < kPages; ++page)
    touched[page] = std::memcmp(before.data() + page * kPage, expected.data() + page * kPage, kPage) != 0;
  const Child child(base, [&](unsigned char* memory) {
    volatile unsigned char sink = 0;
    for (std::size_t page = 0; page < kPages; ++page) {
      sink = memory[page * kPage];  // reading makes a page present, not dirty
      if (touched[page]) std::memcpy(memory + page * kPage, expected.data() + page * kPage, kPage);
    }
    (void)sink;
  });
  const std::string out = directory.path() + "/out";
  const auto written = write_memory_file(child.record(), sys::open_file(out, O_RDWR | O_CREAT | O_EXCL));
  CHECK(written.dirty_bytes <= dirty * kPage);
  CHECK(written.dirty_bytes ==
        static_cast<std::uint64_t>(std::count(touched.begin(), touched.end(), true)) * kPage);
  CHECK(written.zero_bytes <= zeroed * kPage);
  CHECK(written.zero_bytes > 0);
  const std::string got = sys::read_file(out, kPages * kPage);
  REQUIRE(got.size() == expected.size());
  CHECK(std::memcmp(got.data(), expected.data(), got.size()) == 0);
  // The base is as it was.
  const std::string still = sys::read_file(base, kPages * kPage);
  CHECK(std::memcmp(still.data(), before.data(), still.size()) == 0);
}

TEST_CASE("a process that is gone, another, or with another base is refused") {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string base = directory.path() + "/base";
  sys::create_sparse_file(base, kPages * kPage);
  Child child(base, [](unsigned char* memory) { memory[0] = 1; });
  const sys::Fd out = sys::open_file(directory.path() + "/out", O_RDWR | O_CREAT);
  vmm::MachineRecord record = child.record();
  record.start_time += 1;
  CHECK_THROWS_AS(write_memory_file(record, out), Error);
  record = child.record();
  record.memory_file = directory.path() + "/other";
  CHECK_THROWS_AS(write_memory_file(record, out), Error);
  record = child.record();
  record.memory_mib = kMib * 2;
  CHECK_THROWS_AS(write_memory_file(record, out), Error);
  child.end();
  CHECK_THROWS_AS(write_memory_file(child.record(), out), Error);
}
