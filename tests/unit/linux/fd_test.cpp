#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "linux/fd.h"
#include "linux/file.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::sys;

namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("an Fd closes what it owns, once, and a moved-from one nothing", "[linux][fd]") {
  PipePair pipe = make_pipe();
  const int number = pipe.read_end.get();
  CHECK((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
  Fd moved = std::move(pipe.read_end);
  CHECK(moved.get() == number);
  CHECK_FALSE(pipe.read_end.valid());
  moved = Fd();
  CHECK_FALSE(is_open(number));

  const int kept = pipe.write_end.release();
  CHECK(is_open(kept));
  CHECK_FALSE(pipe.write_end.valid());
  ::close(kept);
}

TEST_CASE("missing files are absent or errors, as asked", "[linux][fd]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  CHECK_FALSE(try_open_file(dir.path() + "/none", O_RDONLY));
  CHECK_FALSE(try_read_file(dir.path() + "/none", 10));
  CHECK_THROWS_AS(open_file(dir.path() + "/none", O_RDONLY), SystemError);
  try {
    read_file(dir.path() + "/none", 10);
    FAIL("no error");
  } catch (const SystemError& error) {
    CHECK(error.errno_value() == ENOENT);
    CHECK(error.code() == ErrorCode::not_found);
  }
  CHECK_THROWS_AS(open_directory("/proc/self/status"), SystemError);
}

TEST_CASE("read_file has a limit that it accepts exactly", "[linux][fd]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string path = dir.path() + "/file";
  const std::string content(10'000, 'x');
  write_file_atomic(path, content, 0640);
  CHECK(read_file(path, 10'000) == content);
  try {
    read_file(path, 9'999);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::too_large);
  }
  CHECK(read_file("/proc/self/status", 100'000).size() > 100);  // its st_size is 0
}

TEST_CASE("write_file_atomic replaces the file, sets its mode and leaves nothing else", "[linux][fd]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string path = dir.path() + "/file";
  write_file_atomic(path, "old", 0600);
  const Fd reader = open_file(path, O_RDONLY);
  const mode_t before = ::umask(0077);
  write_file_atomic(path, "new", 0644);
  ::umask(before);
  CHECK(read_file(path, 100) == "new");
  CHECK(read_up_to(reader, 100) == "old");  // a reader of the old file is not disturbed
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0644);
  CHECK_THROWS_AS(write_file_atomic(dir.path() + "/none/file", "x", 0600), SystemError);
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(::rmdir(dir.path().c_str()) == 0);  // empty: no temporary file was left
}

TEST_CASE("whole-buffer transfers", "[linux][fd]") {
  const Fd file = make_memfd("test");
  write_full(file, std::string_view("hello"));
  std::byte buffer[5];
  pread_full(file, buffer, 0);
  CHECK(std::string_view(reinterpret_cast<const char*>(buffer), 5) == "hello");
  try {
    pread_full(file, buffer, 2);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::data_loss);
  }
}

TEST_CASE("copy_sparse keeps content, size and holes", "[linux][file]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string source = dir.path() + "/source";
  const std::string copy = dir.path() + "/copy";
  constexpr std::uint64_t kSize = 64 * 1024 * 1024;
  const std::string data(8192, 'd');
  {
    const Fd file = create_sparse_file(source, kSize);
    const auto bytes = std::as_bytes(std::span(data.data(), data.size()));
    pwrite_full(file, bytes, 0);
    pwrite_full(file, bytes, 20 * 1024 * 1024);
    pwrite_full(file, bytes, kSize - bytes.size());
  }
  copy_sparse(source, copy);
  const Fd result = open_file(copy, O_RDONLY);
  CHECK(file_size(result) == kSize);
  CHECK(allocated_bytes(result) < 1024 * 1024);
  std::string back(data.size(), 0);
  for (const std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{20 * 1024 * 1024}, kSize - data.size()}) {
    pread_full(result, std::as_writable_bytes(std::span(back.data(), back.size())), offset);
    CHECK(back == data);
  }
  pread_full(result, std::as_writable_bytes(std::span(back.data(), back.size())), 1024 * 1024);
  CHECK(back == std::string(data.size(), '\0'));

  CHECK_THROWS_AS(copy_sparse(source, copy), SystemError);  // exists
  CHECK(file_size(open_file(copy, O_RDONLY)) == kSize);     // and was not harmed
  CHECK_THROWS_AS(create_sparse_file(source, 1), SystemError);
}

TEST_CASE("a copy leaves room for others", "[linux][file]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string source = dir.path() + "/source", copy = dir.path() + "/copy";
  {
    const Fd file = create_sparse_file(source, 1 << 20);
    const std::string data(8192, 'd');
    pwrite_full(file, std::as_bytes(std::span(data.data(), data.size())), 0);
    CHECK_NOTHROW(require_room(file, std::uint64_t{1} << 62, 0));  // nothing is left to others: the writing finds out
  }
  // More than there is: nothing fits beside it.
  const std::uint64_t all = free_disk_bytes(dir.path()) * 2;
  try {
    copy_sparse(source, copy, 0600, all);
    FAIL("no error");
  } catch (const SystemError& error) {
    CHECK(error.errno_value() == ENOSPC);
    CHECK(error.code() == ErrorCode::resource_exhausted);
  }
  CHECK(!exists(copy));
  copy_sparse(source, copy, 0600, 1);
  CHECK(file_size(open_file(copy, O_RDONLY)) == 1 << 20);
}

TEST_CASE("a copy of one hole is one hole, of nothing nothing", "[linux][file]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  create_sparse_file(dir.path() + "/hole", 1 << 20).reset();
  create_sparse_file(dir.path() + "/empty", 0).reset();
  copy_sparse(dir.path() + "/hole", dir.path() + "/hole2");
  copy_sparse(dir.path() + "/empty", dir.path() + "/empty2");
  CHECK(file_size(open_file(dir.path() + "/hole2", O_RDONLY)) == 1 << 20);
  CHECK(allocated_bytes(dir.path() + "/hole2") == 0);
  CHECK(file_size(open_file(dir.path() + "/empty2", O_RDONLY)) == 0);
}

TEST_CASE("remove_tree removes everything below and follows no link", "[linux][file]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  const std::string outside = dir.path() + "/outside";
  const std::string tree = dir.path() + "/tree";
  make_directories(outside);
  write_file_atomic(outside + "/keep", "x", 0600);
  make_directories(tree + "/a/b/c");
  write_file_atomic(tree + "/a/b/file", "x", 0600);
  REQUIRE(::symlink(outside.c_str(), (tree + "/a/link").c_str()) == 0);
  REQUIRE(::symlink("/nowhere", (tree + "/dangling").c_str()) == 0);
  CHECK(allocated_bytes(tree) > 0);

  CHECK(remove_tree(tree));
  CHECK_FALSE(exists(tree));
  CHECK(exists(outside + "/keep"));
  CHECK_FALSE(remove_tree(tree));

  // A link to a directory is removed itself.
  REQUIRE(::symlink(outside.c_str(), tree.c_str()) == 0);
  CHECK(remove_tree(tree));
  CHECK(exists(outside + "/keep"));
}

TEST_CASE("make_directories is happy with what exists and not with a file in the way", "[linux][file]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  make_directories(dir.path() + "/a/b/");
  make_directories(dir.path() + "/a/b");
  CHECK(exists(dir.path() + "/a/b"));
  write_file_atomic(dir.path() + "/file", "x", 0600);
  CHECK_THROWS_AS(make_directories(dir.path() + "/file"), SystemError);
  CHECK_THROWS_AS(make_directories(dir.path() + "/file/below"), SystemError);
}

TEST_CASE("a TempDir goes with its owner unless released", "[linux][file]") {
  std::string path;
  {
    TempDir dir = TempDir::create("/tmp/wrenn-test-");
    path = dir.path();
    make_directories(path + "/sub");
    TempDir moved = std::move(dir);
    CHECK(exists(path));
  }
  CHECK_FALSE(exists(path));
  {
    TempDir dir = TempDir::create("/tmp/wrenn-test-");
    path = dir.release();
  }
  CHECK(exists(path));
  remove_tree(path);
}

TEST_CASE("a directory's names are all there, in order, and a missing one is absent or an error, as asked",
          "[linux][file]") {
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  CHECK(list_directory(dir.path()).empty());
  make_directories(dir.path() + "/b");
  for (const char* name : {"/c", "/.a"}) (void)create_sparse_file(dir.path() + name, 1);
  CHECK(list_directory(dir.path()) == std::vector<std::string>{".a", "b", "c"});
  CHECK_FALSE(try_list_directory(dir.path() + "/none").has_value());
  CHECK_FALSE(try_list_directory(dir.path() + "/c").has_value());  // not one
  CHECK_THROWS_AS(list_directory(dir.path() + "/none"), SystemError);
}
