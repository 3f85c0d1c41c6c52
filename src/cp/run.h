// The control plane as a whole: what `wrenn cp` and `wrenn dev` call.
#pragma once

#include <functional>
#include <memory>

#include "core/db/database.h"
#include "core/net/address.h"
#include "cp/config.h"
#include "cp/service/bootstrap.h"

namespace wrenn::cp {

using async::Task;

// Opens the database, brings its schema up to date and makes what must always be there. Blocking. Throws
// Error with what to do: a directory that is missing, a newer schema, ….
std::unique_ptr<db::Database> open_database(const Config& config);

// Serves on the calling loop until `stop` returns (or the task is cancelled): then refuses new requests, lets
// running ones and operations end for limits::kShutdownGrace, and returns. `on_listening` is told the address
// once requests are answered. Both references must live until the task ends. Throws Error(already_exists)
// when the port is taken.
Task<> serve(const Config& config, db::Database& database, Task<> stop,
             std::function<void(const net::Address&)> on_listening);

// `wrenn cp`: opens the database and serves until SIGINT or SIGTERM. Blocking; throws as the two above.
void run(const Config& config);

}  // namespace wrenn::cp
