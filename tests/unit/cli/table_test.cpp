#include "cli/table.h"

#include <catch2/catch.hpp>

#include "core/base/clock.h"

using namespace wrenn;
using namespace wrenn::cli;

TEST_CASE("columns are as wide as their widest cell") {
  Table table({"ID", "STATUS"});
  table.add({"cl-1", "running"});
  table.add({"a-longer-id", ""});
  CHECK(table.text() == "ID           STATUS\ncl-1         running\na-longer-id\n");
}

TEST_CASE("text of a guest cannot drive the terminal") {
  CHECK(printable("a\x1b[31mb\n\x7f") == "a?[31mb??");
  CHECK(printable("\xFF") == "\xEF\xBF\xBD");
}

TEST_CASE("ages and sizes are for people") {
  const auto ago = [](std::int64_t seconds) { return age_of(to_rfc3339({now().us - seconds * 1'000'000 - 100'000})); };
  CHECK(ago(61) == "1 minute ago");
  CHECK(ago(2 * 3600 + 60) == "2 hours ago");
  CHECK(ago(3 * 86400 + 60) == "3 days ago");
  CHECK(age_of("yesterday") == "yesterday");
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(5.0 * (1 << 30)) == "5.0 GiB");
}
