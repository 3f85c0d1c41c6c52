// A database file in a directory of its own, removed at the end.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/random.h"
#include "core/db/database.h"

struct TempDatabase {
  TempDatabase() : dir(std::filesystem::temp_directory_path() / ("wrenn-db-" + wrenn::random_hex(6))) {
    std::filesystem::create_directory(dir);
  }
  ~TempDatabase() {
    std::error_code ignored;
    std::filesystem::remove_all(dir, ignored);
  }
  std::filesystem::path file() const { return dir / "test.db"; }
  std::string url() const { return "sqlite://" + file().string(); }
  std::unique_ptr<wrenn::db::Database> open() const { return wrenn::db::open_database(url()); }

  std::filesystem::path dir;
};
