#include "envd/files/metadata.h"

#include <catch2/catch.hpp>
#include <string>

#include "core/base/error.h"

namespace {

using wrenn::Error;
using wrenn::ErrorCode;
using wrenn::envd::files::Metadata;
using wrenn::envd::files::metadata_of;
using wrenn::http::Headers;

bool is_refused(const Headers& fields) {
  try {
    metadata_of(fields);
    return false;
  } catch (const Error& error) {
    return error.code() == ErrorCode::invalid_argument;
  }
}

}  // namespace

TEST_CASE("metadata: keys in lower case, the first field of a key counts") {
  const Headers fields{{"X-Metadata-Author", "Ann"},
                       {"x-metadata-author", "Bob"},
                       {"Content-Type", "a/b"},
                       {"X-Metadata-Build-Id", ""},
                       {"X-Meta", "no"}};
  CHECK(metadata_of(fields) == Metadata{{"author", "Ann"}, {"build-id", ""}});
  CHECK(metadata_of({}).empty());
}

TEST_CASE("metadata: limits of keys, of all of it, and of characters") {
  const std::string field = "X-Metadata-";
  CHECK(metadata_of({{field + std::string(246, 'k'), "v"}}).size() == 1);
  CHECK(is_refused({{field + std::string(247, 'k'), "v"}}));
  CHECK(is_refused({{field, "v"}}));
  CHECK(is_refused({{field + "k", "caf\xc3\xa9"}}));
  CHECK(is_refused({{field + "k", "a\tb"}}));
  // 9 bytes of "user.e2b." and 1 of the key.
  CHECK(metadata_of({{field + "k", std::string(4096 - 10, 'v')}}).size() == 1);
  CHECK(is_refused({{field + "k", std::string(4096 - 9, 'v')}}));
  CHECK(is_refused({{field + "a", std::string(2040, 'v')}, {field + "b", std::string(2040, 'v')}}));
}
