#include "linux/device_mapper.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::sys;

// The texts are those of the kernel's drivers/md/dm-snap.c, snapshot_status().
TEST_CASE("what the kernel says of a snapshot's store is understood", "[linux]") {
  const auto usable = parse_snapshot_status("1040/409600 24");
  CHECK(usable.state == DmSnapshotStore::State::usable);
  CHECK(usable.used_bytes == 1040 * 512);
  CHECK(usable.total_bytes == 409600 * 512ULL);
  CHECK(parse_snapshot_status("Overflow").state == DmSnapshotStore::State::overflowed);
  CHECK(parse_snapshot_status("Invalid").state == DmSnapshotStore::State::invalid);
  CHECK(parse_snapshot_status("Merge failed").state == DmSnapshotStore::State::invalid);
  for (const char* text : {"", "Unknown", "16", "16/", "/16 8", "16 8/32", "x/16 8"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_snapshot_status(text), Error);
  }
}

TEST_CASE("a full store is asked to overflow, not to be given up", "[linux]") {
  CHECK(snapshot_target(2048, "/dev/loop0", "/dev/loop1").parameters == "/dev/loop0 /dev/loop1 PO 8");
}
