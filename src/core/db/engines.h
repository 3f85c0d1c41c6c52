// The engines behind open_database().
#pragma once

#include <memory>
#include <string_view>

#include "core/db/database.h"

namespace wrenn::db {

std::unique_ptr<Database> open_sqlite(std::string_view url);
std::unique_ptr<Database> open_postgres(std::string_view url);

// There is no room for what was to be written. Users are told this, so it says nothing of statements and files.
[[noreturn]] void throw_full();

}  // namespace wrenn::db
