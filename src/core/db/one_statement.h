// A connection on which one statement can be made: that of Database::read_one().
#pragma once

#include "core/base/error.h"
#include "core/db/database.h"

namespace wrenn::db {

class OneStatement final : public Connection {
 public:
  // `connection` lives longer.
  explicit OneStatement(Connection& connection) noexcept : connection_(connection) {}

  std::int64_t query(std::string_view sql, const std::vector<Param>& params,
                     const std::function<void(const Row&)>& on_row) override {
    if (made_)
      throw_error(ErrorCode::internal, "database: a second statement where there is no transaction: {}", sql);
    made_ = true;
    return connection_.query(sql, params, on_row);
  }
  void run_script(std::string_view sql) override { refuse(sql); }
  void tell(std::string_view channel, std::string_view) override { refuse(channel); }

 private:
  [[noreturn]] static void refuse(std::string_view what) {
    throw_error(ErrorCode::internal, "database: {} in a read of one statement", what);
  }

  Connection& connection_;
  bool made_ = false;
};

}  // namespace wrenn::db
