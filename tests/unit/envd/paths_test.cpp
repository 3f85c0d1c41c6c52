#include "envd/files/paths.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "envd/files/content_type.h"
#include "envd/limits.h"

using namespace wrenn;
using namespace wrenn::envd;

static std::string in_home(std::string_view path) {
  return files::resolve(path, "/home/user", "");
}

TEST_CASE("a path is absolute, of the home, or the working directory", "[envd]") {
  struct Case {
    std::string path, expected;
  };
  const Case cases[] = {
      {"/a/b", "/a/b"},
      {"/", "/"},
      {"//", "/"},
      {"/a//b/./c/", "/a/b/c"},
      {"/a/../b", "/a/../b"},  // the kernel knows what a link there leads to
      {"a", "/home/user/a"},
      {"a/../b", "/home/user/b"},
      {"../x", "/home/x"},
      {"../../../../etc/passwd", "/etc/passwd"},
      {".", "/home/user"},
      {"./a", "/home/user/a"},
      {"~", "/home/user"},
      {"~/", "/home/user"},
      {"~/a/b", "/home/user/a/b"},
      {"~/../x", "/home/x"},
      {"a~", "/home/user/a~"},
      {"ä ö", "/home/user/ä ö"},
      {"", "/home/user"},
  };
  for (const Case& one : cases) {
    INFO(one.path);
    CHECK(in_home(one.path) == one.expected);
  }
}

TEST_CASE("an empty path is the working directory where one is set", "[envd]") {
  CHECK(files::resolve("", "/root", "/work") == "/work");
  CHECK(files::resolve("", "/root", "~/sub") == "/root/sub");
  CHECK(files::resolve("", "/root", "sub") == "/root/sub");
  CHECK(files::resolve("x", "/root", "/work") == "/root/x");
}

TEST_CASE("paths that mean nothing are refused", "[envd]") {
  CHECK_THROWS_AS(in_home("~other"), Error);
  CHECK_THROWS_AS(in_home("~other/x"), Error);
  CHECK_THROWS_AS(in_home(std::string_view("a\0b", 3)), Error);
  CHECK_THROWS_AS(in_home(std::string(limits::kPathBytes + 1, 'x')), Error);
  CHECK_THROWS_AS(in_home(std::string(limits::kPathBytes, 'x')), Error);  // too long with the home before it
  CHECK_NOTHROW(in_home("/" + std::string(limits::kPathBytes - 1, 'x')));
}

TEST_CASE("names and parents", "[envd]") {
  CHECK(files::base_name("/a/b") == "b");
  CHECK(files::base_name("/a") == "a");
  CHECK(files::base_name("/") == "/");
  CHECK(files::parent("/a/b") == "/a");
  CHECK(files::parent("/a") == "/");
  CHECK(files::parent("/") == "/");
  CHECK(files::clean("/../..") == "/");
  CHECK(files::clean("/a/b/../../../c") == "/c");
}

TEST_CASE("content type and disposition", "[envd]") {
  CHECK(files::content_type_of("a.txt") == "text/plain; charset=utf-8");
  CHECK(files::content_type_of("A.JSON") == "application/json");
  CHECK(files::content_type_of("a.tar.gz") == "application/gzip");
  for (const char* name : {"a", ".txt", "a.", "a.unknown", "a.averylongextension"})
    CHECK(files::content_type_of(name) == "application/octet-stream");
  CHECK(files::content_disposition("a.txt") == "inline; filename=\"a.txt\"");
  CHECK(files::content_disposition("a\"b") == "inline; filename=\"a\\\"b\"; filename*=UTF-8''a%22b");
  CHECK(files::content_disposition("a\nb") == "inline; filename=\"a_b\"; filename*=UTF-8''a%0Ab");
  CHECK(files::content_disposition("ä") == "inline; filename=\"__\"; filename*=UTF-8''%C3%A4");
}
