#include <catch2/catch.hpp>

#include "agent/disk/dm_snapshot.h"
#include "agent/disk/qcow2.h"
#include "core/base/codec.h"
#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::agent::disk;

TEST_CASE("the header has every field where the format says") {
  const Qcow2Layout layout = plan_qcow2(5ULL << 30, "/images/rootfs.ext4");
  REQUIRE(layout.pieces.size() == 3);
  CHECK(layout.pieces[0].offset == 0);
  // docs/interop/qcow2.txt, field by field.
  const std::string expected =
      "514649fb"
      "00000003"  // magic, version
      "0000000000000080"
      "00000013"  // backing file name: offset 128, 19 bytes
      "00000010"
      "0000000140000000"  // cluster_bits 16, size
      "00000000"
      "0000000a"          // no encryption, 10 L1 entries of 512 MiB
      "0000000000030000"  // L1 table in cluster 3
      "0000000000010000"
      "00000001"  // refcount table in cluster 1, one cluster
      "00000000"
      "0000000000000000"  // no snapshots
      "0000000000000000"  // incompatible
      "0000000000000000"
      "0000000000000000"  // compatible, autoclear
      "00000004"
      "00000068"  // 16-bit refcounts, header of 104 bytes
      "e2792aca"
      "00000003"
      "7261770000000000"   // backing format "raw", padded to 8
      "0000000000000000";  // end of extensions
  const std::string& head = layout.pieces[0].bytes;
  CHECK(hex_encode(head.substr(0, 128)) == expected);
  CHECK(head.substr(128) == "/images/rootfs.ext4");
  CHECK(layout.pieces[1].offset == 0x10000);
  CHECK(hex_encode(layout.pieces[1].bytes) == "0000000000020000");  // refcount block in cluster 2
  CHECK(layout.pieces[2].offset == 0x20000);
  CHECK(hex_encode(layout.pieces[2].bytes) == "0001000100010001");
  CHECK(layout.file_bytes == 0x40000);

  // 16 TiB need four clusters of L1 table, all of them counted.
  const Qcow2Layout largest = plan_qcow2(16ULL << 40, "/x");
  CHECK(largest.file_bytes == 7 * 0x10000);
  CHECK(largest.pieces[2].bytes.size() == 14);

  const auto summary = parse_qcow2_head(head + std::string(kQcow2HeadBytes - head.size(), '\0'));
  REQUIRE(summary);
  CHECK(summary->virtual_bytes == 5ULL << 30);
  CHECK(summary->backing_file == "/images/rootfs.ext4");
}

TEST_CASE("sizes and names that do not fit are refused") {
  CHECK_THROWS_AS(plan_qcow2(0, "/x"), Error);
  CHECK_THROWS_AS(plan_qcow2(1000, "/x"), Error);
  CHECK_THROWS_AS(plan_qcow2((16ULL << 40) + 512, "/x"), Error);
  CHECK_NOTHROW(plan_qcow2(16ULL << 40, "/x"));
  CHECK_THROWS_AS(plan_qcow2(512, ""), Error);
  CHECK_THROWS_AS(plan_qcow2(512, std::string(1024, 'x')), Error);
}

TEST_CASE("a foreign or damaged header is absent") {
  std::string head = plan_qcow2(1ULL << 30, "/x").pieces[0].bytes;
  head.resize(kQcow2HeadBytes);
  REQUIRE(parse_qcow2_head(head));
  CHECK_FALSE(parse_qcow2_head(""));
  CHECK_FALSE(parse_qcow2_head(head.substr(0, 100)));
  const auto with = [&](std::size_t at, char value) {
    std::string changed = head;
    changed[at] = value;
    return parse_qcow2_head(changed);
  };
  CHECK_FALSE(with(0, 'X'));
  CHECK_FALSE(with(7, 2));      // version
  CHECK_FALSE(with(79, 0x14));  // an external data file: would name another file of the host
  CHECK(with(79, 0x11));        // marked dirty by a QEMU that was killed
  CHECK_FALSE(with(8, 1));      // name far outside
  CHECK_FALSE(with(16, 0x7f));  // name too long
  CHECK_FALSE(with(14, 0x10));  // name beyond what was read
}

TEST_CASE("a device-mapper CoW file has room for every chunk and its metadata") {
  for (const std::uint64_t image : {512ULL, 4096ULL, 1ULL << 20, 5ULL << 30, 1ULL << 40}) {
    CAPTURE(image);
    const std::uint64_t chunks = (image + 4095) / 4096;
    // The store: a header chunk, then areas of one metadata chunk and the 256 chunks that it describes.
    const std::uint64_t areas = (chunks + 255) / 256;
    CHECK(dm_cow_bytes(image) >= (1 + areas + chunks) * 4096);
    CHECK(dm_cow_bytes(image) <= image + image / 128 + (1 << 20));
  }
}
