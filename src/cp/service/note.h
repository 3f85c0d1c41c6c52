// What is written into the database beside something that has worked already.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/async/task.h"
#include "core/db/database.h"
#include "core/log/log.h"

namespace wrenn::cp::service {

// Writes. When the database fails, nothing is written: that is told in the log at `level` as `lost`, with what it
// is about in `of`, and not thrown. What `write` itself throws is.
async::Task<> note(db::Database& database, std::function<void(db::Connection&)> write, log::Level level,
                   std::string_view lost, std::string of);

}  // namespace wrenn::cp::service
