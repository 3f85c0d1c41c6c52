#include "guest/command_line.h"

#include <catch2/catch.hpp>

using wrenn::guest::parse_command_line;

TEST_CASE("an empty command line gives the defaults") {
  const auto options = parse_command_line("");
  CHECK(options.root == "/dev/vda");
  CHECK(options.root_type == "ext4");
  CHECK(options.root_options.empty());
  CHECK_FALSE(options.read_only);
  CHECK(options.init == "/usr/local/bin/wrenn-init");
  CHECK_FALSE(options.trace);
}

TEST_CASE("words of the boot path are read, others left alone") {
  const auto options = parse_command_line(
      "console=ttyS0 quiet root=/dev/vdb  rootfstype=btrfs\trootflags=noatime,commit=30 ro init=/sbin/init "
      "wrenn.trace\n");
  CHECK(options.root == "/dev/vdb");
  CHECK(options.root_type == "btrfs");
  CHECK(options.root_options == "noatime,commit=30");
  CHECK(options.read_only);
  CHECK(options.init == "/sbin/init");
  CHECK(options.trace);
}

TEST_CASE("the last word wins") {
  CHECK_FALSE(parse_command_line("ro rw").read_only);
  CHECK(parse_command_line("rw ro").read_only);
  CHECK(parse_command_line("init=/a init=/b").init == "/b");
}

TEST_CASE("a word that only begins like ours is another one") {
  const auto options = parse_command_line("rootdelay=5 initcall_debug=1 roflags rw2 wrenn.traces root");
  CHECK(options.root == "/dev/vda");
  CHECK(options.init == "/usr/local/bin/wrenn-init");
  CHECK_FALSE(options.read_only);
  CHECK_FALSE(options.trace);
}

TEST_CASE("what follows -- is for the init program") {
  CHECK(parse_command_line("init=/a -- init=/b").init == "/a");
}
