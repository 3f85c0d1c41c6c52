// The engines behind open_database().
#pragma once

#include <memory>
#include <string_view>

#include "core/db/database.h"

namespace wrenn::db {

std::unique_ptr<Database> open_sqlite(std::string_view url);
std::unique_ptr<Database> open_postgres(std::string_view url);

}  // namespace wrenn::db
