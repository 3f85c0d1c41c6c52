#include "core/crypto/password.h"

#include <catch2/catch.hpp>
#include <set>

using namespace wrenn::crypto;

TEST_CASE("a password is recognised, another is not") {
  const auto hash = hash_password("correct horse");
  CHECK(hash.rfind("$scrypt$ln=14,r=8,p=5$", 0) == 0);
  CHECK(check_password("correct horse", hash) == PasswordCheck::right);
  CHECK(check_password("correct horsf", hash) == PasswordCheck::wrong);
  CHECK(check_password("", hash) == PasswordCheck::wrong);
  CHECK(hash_password("correct horse") != hash);  // its own salt
}

TEST_CASE("a password may hold any bytes") {
  const std::string password("p\0q\xff", 4);
  const auto hash = hash_password(password);
  CHECK(check_password(password, hash) == PasswordCheck::right);
  CHECK(check_password(std::string("p\0q\xfe", 4), hash) == PasswordCheck::wrong);
  CHECK(check_password("p", hash) == PasswordCheck::wrong);
}

TEST_CASE("scrypt of RFC 7914") {
  // Section 12: scrypt("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1), its first 32 bytes.
  const std::string hash =
      "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI";
  CHECK(check_password("pleaseletmein", hash) == PasswordCheck::right_but_old);
  CHECK(check_password("pleaseletmeiN", hash) == PasswordCheck::wrong);
}

TEST_CASE("bcrypt of earlier installations is accepted") {
  // "U*U" and its hash: the test vector of crypt_blowfish, which other implementations check themselves with.
  const std::string hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  CHECK(check_password("U*U", hash) == PasswordCheck::right_but_old);
  CHECK(check_password("U*V", hash) == PasswordCheck::wrong);
  CHECK(check_password(std::string("U*U\0", 4), hash) == PasswordCheck::wrong);
}

TEST_CASE("what is no hash is never right") {
  for (const std::string hash :
       {"", "x", "$", "$2b$", "$scrypt$", "$scrypt$ln=14,r=8,p=5$$", "$scrypt$ln=40,r=8,p=1$YWFhYQ$YWFhYQ",
        "$scrypt$ln=14,r=8$YWFhYQ$YWFhYQ", "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0", "$2b$05$*****************************************************"})
    CHECK(check_password("x", hash) == PasswordCheck::wrong);
}
