// A table that tests of the engines share, and what they ask of it.
#pragma once

#include <functional>

#include "core/base/error.h"
#include "core/db/database.h"

inline wrenn::ErrorCode code_thrown_by(const std::function<void()>& work) {
  try {
    work();
  } catch (const wrenn::Error& error) {
    return error.code();
  }
  return wrenn::ErrorCode::unknown;
}

inline void make_table(wrenn::db::Database& database) {
  database.write_now([](wrenn::db::Connection& c) {
    c.run_script(
        "CREATE TABLE parents (id TEXT PRIMARY KEY);"
        "CREATE TABLE items (id TEXT PRIMARY KEY, number BIGINT CHECK (number < 1000), real DOUBLE "
        "PRECISION, "
        "parent TEXT REFERENCES parents (id), label TEXT UNIQUE NOT NULL);");
  });
}

inline std::int64_t count(wrenn::db::Database& database) {
  std::int64_t rows = 0;
  database.read_now([&](wrenn::db::Connection& c) {
    c.query("SELECT COUNT(*) FROM items", {}, [&](const wrenn::db::Row& row) { rows = row.integer(0); });
  });
  return rows;
}
