#include "core/base/text.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

using namespace wrenn;

TEST_CASE("integers are read whole or not at all") {
  CHECK(parse_int<int>("-12") == -12);
  CHECK(parse_int<std::uint8_t>("255") == 255);
  for (const char* wrong : {"", "-", "+1", " 1", "1 ", "1x", "0x10", "2147483648"})
    CHECK_FALSE(parse_int<int>(wrong).has_value());
  CHECK_FALSE(parse_int<std::uint8_t>("256").has_value());
  CHECK_FALSE(parse_int<unsigned>("-1").has_value());
}

TEST_CASE("UTF-8 is checked as Unicode's table 3-7 says") {
  for (const char* right : {"", "a", "é", "漢", "🦩", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF4\x8F\xBF\xBF"}) CHECK(is_valid_utf8(right));
  for (const char* wrong : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                            "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "a\xFFz"})
    CHECK_FALSE(is_valid_utf8(wrong));
}

TEST_CASE("a cut inside a sequence is found, a broken one is not waited for") {
  const std::string text = "aé漢🦩";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const auto prefix = complete_utf8_prefix(std::string_view(text).substr(0, cut));
    CHECK(is_valid_utf8(std::string_view(text).substr(0, prefix)));
    CHECK(cut - prefix <= 3);
  }
  CHECK(complete_utf8_prefix("a\xFF") == 2);
  CHECK(complete_utf8_prefix("a\xE2\x28") == 3);
  CHECK(sanitize_utf8("a\xFF" "b\xE2\x82") == "a\xEF\xBF\xBD" "b\xEF\xBF\xBD");
}

TEST_CASE("splitting keeps empty parts and trimming takes white space") {
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split("", ',').size() == 1);
  CHECK(trim(" \t a b\r\n") == "a b");
  CHECK(trim(" \n").empty());
  CHECK(equals_ignoring_case("Content-Type", "content-tYPE"));
  CHECK_FALSE(equals_ignoring_case("a", "ab"));
}

TEST_CASE("safe names are the SafeName rule") {
  for (const char* right : {"a", "A1", "minimal-debian", "x.y_z-1"}) CHECK(is_safe_name(right));
  for (const char* wrong : {"", "-a", ".a", "a/b", "a b", "é", "a\n"}) CHECK_FALSE(is_safe_name(wrong));
  CHECK(is_safe_name(std::string(64, 'a')));
  CHECK_FALSE(is_safe_name(std::string(65, 'a')));
}

TEST_CASE("a typo finds its word, another word does not") {
  const std::vector<std::string> words = {"listen", "database", "dir"};
  CHECK(closest("lsiten", words) == "listen");
  CHECK(closest("databse", words) == "database");
  CHECK_FALSE(closest("telephone", words).has_value());
}

TEST_CASE("sizes are mebibytes") {
  CHECK(parse_size_mib("5Gi") == 5120);
  CHECK(parse_size_mib("2G") == 2048);
  CHECK(parse_size_mib("1000M") == 1000);
  CHECK(parse_size_mib("512Mi") == 512);
  CHECK(parse_size_mib("1.5G") == 1536);
  CHECK(parse_size_mib(" 64 ") == 64);
  for (const char* wrong : {"", "G", "-5G", "0", "5K", "5 G x", "inf", "nan"}) CHECK_FALSE(parse_size_mib(wrong).has_value());
}

TEST_CASE("errors carry a code and their causes") {
  errno = ENOENT;
  try {
    throw_errno("open {}", "/x");
  } catch (const SystemError& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(error.errno_value() == ENOENT);
    CHECK(std::string(error.what()) == "open /x: No such file or directory");
  }
  try {
    try {
      throw Error(ErrorCode::unavailable, "inner");
    } catch (...) {
      std::throw_with_nested(Error(ErrorCode::internal, "outer"));
    }
  } catch (const std::exception& error) {
    CHECK(describe(error) == "outer: inner");
  }
  CHECK(code_of(std::make_exception_ptr(std::runtime_error("x"))) == ErrorCode::internal);
}
