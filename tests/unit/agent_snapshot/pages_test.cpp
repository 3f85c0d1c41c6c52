// The memory of a process that is not a VMM, but maps a base privately as one does.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

#include "agent/snapshot/pages.h"
#include "core/base/error.h"
#include "linux/file.h"
#include "linux/procfs.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::agent;
using namespace wrenn::agent::snapshot;

namespace {

constexpr int kMib = 16;  // so much that the changed pages are worth a second thread
constexpr std::size_t kPage = kPageBytes;
constexpr std::size_t kBytes = kMib * 1024 * 1024;
constexpr std::size_t kPages = kBytes / kPage;
using Memory = std::vector<unsigned char>;

// A child that maps `base` privately, has changed it as `change` says, then waits. On demand it changes it
// further, as `later` says, and tells what it sees.
class Child {
 public:
  using Change = std::function<void(unsigned char*)>;
  explicit Child(const MemoryBase& base, const Change& change = {}, const Change& later = {}) {
    int ready[2], ask[2], answer[2];
    REQUIRE((::pipe(ready) == 0 && ::pipe(ask) == 0 && ::pipe(answer) == 0));
    const int fd = base.fd().get();
    pid_ = ::fork();
    if (pid_ == 0) {
      auto* memory =
          static_cast<unsigned char*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
      if (change) change(memory);
      (void)!::write(ready[1], "r", 1);
      char byte;
      while (::read(ask[0], &byte, 1) == 1) {
        if (byte == '!') {
          later(memory);
          (void)!::write(answer[1], "!", 1);
          continue;
        }
        for (std::size_t done = 0; done < kBytes;) {
          const ssize_t now = ::write(answer[1], memory + done, kBytes - done);
          if (now <= 0) break;
          done += static_cast<std::size_t>(now);
        }
      }
      ::_exit(0);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    for (const int end : {ready[0], ready[1], ask[0], answer[1]}) ::close(end);
    ask_ = ask[1];
    answer_ = answer[0];
    record_.pid = pid_;
    record_.start_time = sys::read_proc_stat(pid_)->start_time;
    record_.memory_mapping = base.mapping();
    record_.memory_mib = kMib;
  }
  ~Child() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(ask_);
    ::close(answer_);
    pid_ = 0;
  }
  void change_further() {
    char byte = 0;
    REQUIRE((::write(ask_, "!", 1) == 1 && ::read(answer_, &byte, 1) == 1));
  }
  Memory sees() {
    REQUIRE(::write(ask_, "?", 1) == 1);
    Memory memory(kBytes);
    for (std::size_t done = 0; done < kBytes;) {
      const ssize_t now = ::read(answer_, memory.data() + done, kBytes - done);
      REQUIRE(now > 0);
      done += static_cast<std::size_t>(now);
    }
    return memory;
  }
  const vmm::MachineRecord& record() const { return record_; }

 private:
  pid_t pid_ = 0;
  int ask_ = -1, answer_ = -1;
  vmm::MachineRecord record_;
};

struct Place {
  sys::TempDir directory = sys::TempDir::create("/tmp/wrenn-test-");
  sys::Fd file(const std::string& name) const {
    return sys::open_file(directory.path() + "/" + name, O_RDWR | O_CREAT | O_TRUNC, 0600);
  }
};

// Changes one page in four: half of these become zero.
void change(Memory& memory, std::mt19937& random) {
  for (std::size_t page = 0; page < kPages; ++page) {
    unsigned char* at = memory.data() + page * kPage;
    const auto choice = random() % 8;
    if (choice == 0) std::memset(at, 0, kPage);
    if (choice == 1)
      for (std::size_t i = 0; i < kPage; i += 64) at[i] = static_cast<unsigned char>(random() | 1);
  }
}

// Writes the pages that differ, and reads all the others: a page that was only read is not dirty.
std::function<void(unsigned char*)> become(const Memory& from, const Memory& to) {
  return [&from, &to](unsigned char* memory) {
    volatile unsigned char sink = 0;
    for (std::size_t page = 0; page < kPages; ++page) {
      sink = memory[page * kPage];
      if (std::memcmp(from.data() + page * kPage, to.data() + page * kPage, kPage) != 0)
        std::memcpy(memory + page * kPage, to.data() + page * kPage, kPage);
    }
    (void)sink;
  };
}

std::size_t differing_pages(const Memory& a, const Memory& b) {
  std::size_t count = 0;
  for (std::size_t page = 0; page < kPages; ++page)
    count += std::memcmp(a.data() + page * kPage, b.data() + page * kPage, kPage) != 0 ? 1 : 0;
  return count;
}

PagesSummary write_pages(const vmm::MachineRecord& machine, sys::FdView out) {
  PageWriter writer(machine, out);
  return writer.finish();
}

// A base with this content, by way of the functions under test.
std::shared_ptr<const MemoryBase> base_of(const Place& place, const Memory& content) {
  const auto zeros = MemoryBase::zeros(kMib);
  const Memory nothing(kBytes);
  Child child(*zeros, become(nothing, content));
  const sys::Fd pages = place.file("first-pages");
  const auto summary = write_pages(child.record(), pages);
  return MemoryBase::load(merge_pages(*zeros, pages, summary.checksum, place.directory.path(), kMib), kMib);
}

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.code()), error.what());
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("pages are cut into zero and other stretches") {
  const auto cut = [](std::string_view pattern) {  // one letter a page, '0' is a zero page
    std::vector<std::byte> data(pattern.size() * kPage);
    for (std::size_t i = 0; i < pattern.size(); ++i)
      if (pattern[i] != '0') data[i * kPage + (i % kPage)] = std::byte{1};
    std::string text;
    for (const Stretch& stretch : cut_stretches(data))
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
  CHECK_FALSE(cut_stretches(page).at(0).zero);
}

TEST_CASE("ten generations of pausing and going on lose nothing, and zeroed pages stay zero") {
  const Place place;
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  Memory first(kBytes);
  change(first, random);
  const auto base = base_of(place, first);

  Memory before = first;
  sys::Fd pages;
  std::string checksum;
  for (int generation = 0; generation < 10; ++generation) {
    CAPTURE(generation);
    Child child(*base);
    if (pages.valid()) restore_pages(pages, checksum, child.record());
    REQUIRE((child.sees() == before));
    child.end();

    // As a machine that was resumed and then ran on.
    Memory after = before;
    change(after, random);
    Child next(*base, become(first, after));
    sys::Fd written = place.file("pages-" + std::to_string(generation));
    const auto summary = write_pages(next.record(), written);
    CHECK(summary.dirty_bytes == differing_pages(first, after) * kPage);
    if (generation == 0) CHECK(summary.zero_bytes > 0);
    pages = std::move(written);
    checksum = summary.checksum;
    before = after;
  }
  // Base and pages as one are the same.
  const auto merged =
      MemoryBase::load(merge_pages(*base, pages, checksum, place.directory.path(), kMib), kMib);
  Child child(*merged);
  CHECK((child.sees() == before));
}

TEST_CASE("what changes after most was copied is in the snapshot, too") {
  const Place place;
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  Memory first(kBytes), second, third;
  change(first, random);
  const auto base = base_of(place, first);
  second = first;
  change(second, random);
  third = second;
  change(third, random);
  // And some that were changed are the base's again.
  const auto later = [&](unsigned char* memory) {
    become(second, third)(memory);
    for (std::size_t page = 0; page < kPages; page += 97)
      ::madvise(memory + page * kPage, kPage, MADV_DONTNEED);
  };
  for (std::size_t page = 0; page < kPages; page += 97)
    std::memcpy(third.data() + page * kPage, first.data() + page * kPage, kPage);

  Child child(*base, become(first, second), later);
  const sys::Fd pages = place.file("pages");
  PageWriter writer(child.record(), pages);
  writer.copy_ahead();
  child.change_further();
  const auto summary = writer.finish();
  REQUIRE((child.sees() == third));
  CHECK(summary.dirty_bytes >= differing_pages(first, third) * kPage);

  Child fresh(*base);
  restore_pages(pages, summary.checksum, fresh.record());
  CHECK((fresh.sees() == third));
  const auto merged =
      MemoryBase::load(merge_pages(*base, pages, summary.checksum, place.directory.path(), kMib), kMib);
  Child made(*merged);
  CHECK((made.sees() == third));
}

TEST_CASE("a base cannot be written by who maps it") {
  const auto base = MemoryBase::zeros(kMib);
  const std::string path = fmt::format("/proc/self/fd/{}", base->fd().get());
  const sys::Fd again = sys::open_file(path, O_RDWR);  // as QEMU does
  CHECK(::pwrite(again.get(), "x", 1, 0) == -1);
  CHECK(::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0) == MAP_FAILED);
  CHECK(::ftruncate(again.get(), 0) == -1);
  CHECK(::fcntl(again.get(), F_ADD_SEALS, F_SEAL_GROW) == -1);
}

TEST_CASE("the same memory gives the same base, and a damaged one is refused") {
  const Place place;
  std::mt19937 random(7);
  Memory content(kBytes);
  change(content, random);
  const auto base = base_of(place, content);
  CHECK(base_of(place, content)->path() == base->path());
  ::chmod(base->path().c_str(), 0600);
  const sys::Fd file = sys::open_file(base->path(), O_RDWR);
  std::size_t page = 0;
  while (content[page * kPage] == 0) ++page;
  std::byte byte{};
  sys::pread_full(file, std::span(&byte, 1), page * kPage);
  byte ^= std::byte{4};
  sys::pwrite_full(file, std::span(&byte, 1), page * kPage);
  const std::string said = message_of([&] { (void)MemoryBase::load(base->path(), kMib); });
  CAPTURE(said);
  CHECK(said.find("data_loss") != std::string::npos);
  CHECK(said.find("destroy what was made from it") != std::string::npos);
  CHECK(message_of([&] { (void)MemoryBase::load(base->path(), kMib * 2); }).find("wrong size") !=
        std::string::npos);
}

TEST_CASE("any flipped bit in the pages is noticed before a machine has them all") {
  const Place place;
  std::mt19937 random(11);
  const auto zeros = MemoryBase::zeros(kMib);
  Memory content(kBytes);
  change(content, random);
  const Memory nothing(kBytes);
  Child child(*zeros, become(nothing, content));
  const sys::Fd pages = place.file("pages");
  const auto summary = write_pages(child.record(), pages);
  const std::uint64_t size = sys::file_size(pages);
  for (int i = 0; i < 40; ++i) {
    const std::uint64_t at = i == 0 ? 0 : i == 1 ? size - 1 : random() % size;
    CAPTURE(at);
    std::byte byte{};
    sys::pread_full(pages, std::span(&byte, 1), at);
    const std::byte flipped = byte ^ std::byte{16};
    sys::pwrite_full(pages, std::span(&flipped, 1), at);
    Child fresh(*zeros);
    const std::string said = message_of([&] { restore_pages(pages, summary.checksum, fresh.record()); });
    // What lies between index and data is of no use to anybody.
    if (said != "nothing was thrown") {
      CHECK(said.find("data_loss") != std::string::npos);
      CHECK(said.find("destroy") != std::string::npos);
    } else {
      CHECK((fresh.sees() == content));
    }
    sys::pwrite_full(pages, std::span(&byte, 1), at);
  }
  REQUIRE(::ftruncate(pages.get(), static_cast<off_t>(size - kPage)) == 0);
  Child fresh(*zeros);
  CHECK(message_of([&] { restore_pages(pages, summary.checksum, fresh.record()); }).find("data_loss") !=
        std::string::npos);
}

TEST_CASE("a process that is gone, another, or with another base is refused") {
  const Place place;
  const auto base = MemoryBase::zeros(kMib);
  Child child(*base, [](unsigned char* memory) { memory[0] = 1; });
  const sys::Fd out = place.file("out");
  vmm::MachineRecord record = child.record();
  record.start_time += 1;
  CHECK_THROWS_AS(write_pages(record, out), Error);
  record = child.record();
  record.memory_mapping = MemoryBase::zeros(kMib)->mapping();
  CHECK_THROWS_AS(write_pages(record, out), Error);
  record = child.record();
  record.memory_mib = kMib * 2;
  CHECK_THROWS_AS(write_pages(record, out), Error);
  child.end();
  CHECK_THROWS_AS(write_pages(child.record(), out), Error);
}
