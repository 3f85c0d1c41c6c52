// A connection of libpq, opened with our parameters.
#pragma once

#include <libpq-fe.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace wrenn::db {

struct CloseConnection {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using Handle = std::unique_ptr<PGconn, CloseConnection>;

struct FreeResult {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

// Without the line break that libpq ends its messages with.
std::string_view trimmed_message(const char* text) noexcept;

// What libpq is told besides the URL, which has the last word: names of its parameters and their values.
std::map<std::string, std::string> connection_parameters();

// Blocking. Throws Failure(unavailable) without the URL, which may hold a password.
Handle open_handle(const std::string& url);

}  // namespace wrenn::db
