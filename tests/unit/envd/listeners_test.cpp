#include "envd/ports/listeners.h"

#include <catch2/catch.hpp>

using namespace wrenn::envd::ports;

namespace {

constexpr const char* kTcp =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1\n"
    "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1\n"
    "   2: 0200007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1\n"
    "   3: 0100007F:0050 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 14 1\n";
constexpr const char* kTcp6 =
    "  sl  local_address                         remote_address                        st tx_queue\n"
    "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0 0\n"
    "   1: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 0:0 0 0\n"
    "   2: 0000000000000000FFFF00000100007F:0BB9 00000000000000000000000000000000:0000 0A 0:0 0 0\n"
    "   3: 00000000000000000000000000000000:0BBA 00000000000000000000000000000000:0000 0A 0:0 0 0\n";

}  // namespace

TEST_CASE("only loopback listeners, one entry a port", "[envd]") {
  const auto found = parse_listeners(kTcp, kTcp6);
  const std::vector<LoopbackListener> expected{{3000, false, true}, {3001, true, false}, {8080, true, true}};
  CHECK(found == expected);
}

TEST_CASE("tables that are not understood give nothing", "[envd]") {
  for (const char* text : {"", "\n\n", "x", "0: 0100007F 0 0A", "0: 0100007F:ZZZZ 0:0 0A",
                           "0: 0100007F:10000 0:0 0A", "0: 0100007F:0000 0:0 0A", ":::: :::: :::: ::::"})
    CHECK(parse_listeners(text, text).empty());
}
