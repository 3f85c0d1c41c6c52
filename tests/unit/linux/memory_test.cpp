#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cstring>

#include "core/base/error.h"
#include "linux/fd.h"
#include "linux/page_map.h"
#include "linux/process.h"
#include "linux/process_memory.h"
#include "linux/procfs.h"

using namespace wrenn::sys;

// So that a failed comparison can be read.
template <>
struct Catch::StringMaker<PageRun> {
  static std::string convert(const PageRun& run) { return fmt::format("{}+{}", run.first, run.count); }
};

namespace {

constexpr std::uint64_t kDirty = 1ULL << 63;
constexpr std::uint64_t kSwappedPage = 1ULL << 62;
constexpr std::uint64_t kClean = 1ULL << 63 | 1ULL << 61;

// A private mapping of a file of `pages` pages that hold 'f'.
class PrivateMapping {
 public:
  explicit PrivateMapping(std::size_t pages) : bytes_(pages * page_size_bytes()), file_(make_memfd("base")) {
    const std::string content(bytes_, 'f');
    write_full(file_, content);
    base_ = static_cast<char*>(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_.get(), 0));
    REQUIRE(base_ != MAP_FAILED);
  }
  ~PrivateMapping() { ::munmap(base_, bytes_); }
  PrivateMapping(const PrivateMapping&) = delete;
  PrivateMapping& operator=(const PrivateMapping&) = delete;

  char* page(std::size_t number) { return base_ + number * page_size_bytes(); }
  std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(base_); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_;
  Fd file_;
  char* base_;
};

}  // namespace

TEST_CASE("dirty runs out of pagemap entries", "[linux][page_map]") {
  std::vector<PageRun> runs;
  append_dirty_runs(std::vector<std::uint64_t>{0, kDirty, kDirty, kClean, kSwappedPage, kDirty | 55}, 0,
                    runs);
  CHECK(runs == std::vector<PageRun>{{1, 2}, {4, 2}});
  // A run goes on over the edge of two reads, and does not where there is a gap.
  append_dirty_runs(std::vector<std::uint64_t>{kDirty, 0, kDirty}, 6, runs);
  CHECK(runs == std::vector<PageRun>{{1, 2}, {4, 3}, {8, 1}});
  append_dirty_runs(std::vector<std::uint64_t>{}, 9, runs);
  append_dirty_runs(std::vector<std::uint64_t>{kSwappedPage | 1ULL << 61}, 9, runs);
  CHECK(total_pages(runs) == 6);
}

TEST_CASE("dirty pages of a private mapping are those written, by both ways of asking", "[linux][page_map]") {
  PrivateMapping mapping(1000);
  volatile char sum = 0;
  for (std::size_t page = 0; page < 1000; page += 2)
    sum = sum + mapping.page(page)[0];  // reading dirties nothing
  for (const std::size_t page : {0, 1, 2, 500, 998, 999}) mapping.page(page)[7] = 'x';
  mapping.page(600)[0] = 'f';  // the same content is dirty too: it is a page of its own
  const std::vector<PageRun> expected{{0, 3}, {500, 1}, {600, 1}, {998, 2}};

  auto map = PageMap::open(::getpid());
  REQUIRE(map);
  CHECK(map->dirty_pages(mapping.address(), mapping.bytes()) == expected);
  CHECK(map->read_entries(mapping.address(), mapping.bytes()) == expected);
  if (const auto scanned = map->scan(mapping.address(), mapping.bytes()))
    CHECK(*scanned == expected);
  else
    WARN("this kernel has no PAGEMAP_SCAN");
}

TEST_CASE("more runs than one PAGEMAP_SCAN answers", "[linux][page_map]") {
  PrivateMapping mapping(20'000);
  for (std::size_t page = 0; page < 20'000; page += 2) mapping.page(page)[0] = 'x';
  auto map = PageMap::open(::getpid());
  REQUIRE(map);
  const auto runs = map->dirty_pages(mapping.address(), mapping.bytes());
  CHECK(runs.size() == 10'000);
  CHECK(runs == map->read_entries(mapping.address(), mapping.bytes()));
}

TEST_CASE("the mapping of a file is found by its path", "[linux][procfs]") {
  PrivateMapping mapping(3);
  bool found = false;
  for (const Mapping& entry : find_mappings(::getpid(), "/memfd:base (deleted)"))
    found = found || (entry.start == mapping.address() && entry.length() == mapping.bytes());
  CHECK(found);
  CHECK(find_mappings(::getpid(), "base (deleted)").empty());
  CHECK(find_mappings(4'194'305, "/x").empty());
}

TEST_CASE("pieces of a process's memory are gathered, and written to", "[linux][process_memory]") {
  // More pieces than one system call takes.
  constexpr std::size_t kPages = 3000;
  PrivateMapping mapping(kPages);
  for (std::size_t page = 0; page < kPages; ++page)
    std::memset(mapping.page(page), 'a' + page % 26, page_size_bytes());
  auto memory = ProcessMemory::open(::getpid());
  REQUIRE(memory);
  std::vector<ProcessMemory::Piece> pieces;
  for (std::size_t page = 0; page < kPages; page += 2)
    pieces.push_back({mapping.address() + page * page_size_bytes(), page_size_bytes() / 2});
  std::vector<std::byte> gathered(pieces.size() * page_size_bytes() / 2);
  memory->gather(pieces, gathered);
  for (std::size_t i = 0; i < pieces.size(); ++i)
    REQUIRE(std::memcmp(gathered.data() + i * page_size_bytes() / 2, mapping.page(i * 2),
                        page_size_bytes() / 2) == 0);

  PrivateMapping other(3);
  memory->write(other.address() + page_size_bytes(), std::span(gathered).first(page_size_bytes()));
  CHECK(std::memcmp(other.page(1), gathered.data(), page_size_bytes()) == 0);
  auto map = PageMap::open(::getpid());
  REQUIRE(map);
  CHECK(map->dirty_pages(other.address(), other.bytes()) == std::vector<PageRun>{{1, 1}});

  std::byte one[1];
  CHECK_THROWS_AS(memory->read(0, one), wrenn::SystemError);  // nothing is mapped at 0
  pieces.push_back({0, 1});
  gathered.resize(gathered.size() + 1);
  CHECK_THROWS_AS(memory->gather(pieces, gathered), wrenn::SystemError);
}

TEST_CASE("the memory of a process that has ended is an error, not a wait", "[linux][process_memory]") {
  SpawnOptions options;
  options.argv = {"sleep", "60"};
  Process process = Process::spawn(options);
  auto memory = ProcessMemory::open(process.pid());
  REQUIRE(memory);
  const auto mappings = find_mappings(process.pid(), "[stack]");
  REQUIRE(mappings.size() == 1);
  std::byte bytes[16];
  memory->read(mappings[0].end - 16, bytes);
  memory->write(mappings[0].end - 16, bytes);
  process.signal(SIGKILL);
  REQUIRE(process.wait(std::chrono::seconds(5)));
  CHECK_THROWS_AS(memory->read(mappings[0].end - 16, bytes), wrenn::Error);
  CHECK_THROWS_AS(memory->write(mappings[0].end - 16, bytes), wrenn::Error);
  CHECK_FALSE(ProcessMemory::open(process.pid()));
  CHECK_FALSE(PageMap::open(process.pid()));
}
