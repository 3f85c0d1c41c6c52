#include "guest/cpio.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>
#include <vector>

using wrenn::guest::CpioWriter;

namespace {

struct Member {
  std::string path;
  unsigned long mode;
  unsigned long links;
  unsigned long device_major;
  unsigned long device_minor;
  std::string content;
};

unsigned long field(const std::string& archive, std::size_t start, int index) {
  return std::strtoul(archive.substr(start + 6 + 8 * static_cast<std::size_t>(index), 8).c_str(), nullptr,
                      16);
}

// A second, independent reading of the format: header of 110 bytes, name with NUL, both padded to four.
std::vector<Member> read_archive(const std::string& archive) {
  std::vector<Member> members;
  std::size_t at = 0;
  while (at + 110 <= archive.size()) {
    REQUIRE(archive.substr(at, 6) == "070701");
    const auto size = field(archive, at, 6);
    const auto name_size = field(archive, at, 11);
    REQUIRE(name_size >= 1);
    const std::string name = archive.substr(at + 110, name_size - 1);
    REQUIRE(archive[at + 110 + name_size - 1] == '\0');
    const std::size_t data = (at + 110 + name_size + 3) / 4 * 4;
    if (name == "TRAILER!!!") return members;
    members.push_back({name, field(archive, at, 1), field(archive, at, 4), field(archive, at, 9),
                       field(archive, at, 10), archive.substr(data, size)});
    at = (data + size + 3) / 4 * 4;
  }
  FAIL("no trailer");
  return members;
}

}  // namespace

TEST_CASE("an archive reads back as it was written") {
  CpioWriter writer;
  writer.add_directory("dev", 0755);
  writer.add_character_device("dev/console", 0600, 5, 1);
  for (std::size_t size = 0; size < 9; ++size) {
    writer.add_file("file" + std::string(size, 'x'), 0644, std::string(size, 'y'));
  }
  const auto members = read_archive(writer.finish());

  REQUIRE(members.size() == 11);
  CHECK(members[0].path == "dev");
  CHECK(members[0].mode == (S_IFDIR | 0755));
  CHECK(members[1].mode == (S_IFCHR | 0600));
  CHECK(members[1].device_major == 5);
  CHECK(members[1].device_minor == 1);
  for (std::size_t size = 0; size < 9; ++size) {
    const Member& file = members[size + 2];
    CHECK(file.path == "file" + std::string(size, 'x'));
    CHECK(file.content == std::string(size, 'y'));
    CHECK(file.mode == (S_IFREG | 0644));
    CHECK(file.links == 1);
  }
}

TEST_CASE("a finished writer starts anew, with the same bytes for the same input") {
  CpioWriter writer;
  writer.add_file("a", 0644, "1");
  const std::string first = writer.finish();
  writer.add_file("a", 0644, "1");
  CHECK(writer.finish() == first);
}
