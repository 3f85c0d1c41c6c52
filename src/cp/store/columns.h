// Values out of columns and into them.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/db/database.h"
#include "model/actor.h"

namespace wrenn::cp::store {

// Throws Error(data_loss): only this program writes ids, so one that does not parse was damaged.
template <typename Id>
Id stored_id(std::string_view text) {
  const auto id = Id::parse(text);
  if (!id) throw_error(ErrorCode::data_loss, "the database holds \"{}\" where an id belongs", text);
  return *id;
}

// Throws Error(data_loss).
inline model::Actor::Kind stored_actor_kind(std::string_view text) {
  using Kind = model::Actor::Kind;
  for (const auto kind : {Kind::user, Kind::api_key, Kind::system})
    if (to_string(kind) == text) return kind;
  throw_error(ErrorCode::data_loss, "the database holds the unknown actor \"{}\"", text);
}

inline std::optional<UnixTime> optional_time(const db::Row& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return UnixTime{row.integer(column)};
}

inline std::optional<std::int64_t> to_param(const std::optional<UnixTime>& time) {
  if (!time) return std::nullopt;
  return time->us;
}

// The one number of a SELECT COUNT(*). Throws as db::Connection::query().
inline std::int64_t count(db::Connection& connection, std::string_view sql,
                          const std::vector<db::Param>& params = {}) {
  std::int64_t number = 0;
  connection.query(sql, params, [&](const db::Row& row) { number = row.integer(0); });
  return number;
}

// Of rows of which there is at most one.
template <typename Row>
std::optional<Row> only(std::vector<Row> rows) {
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

}  // namespace wrenn::cp::store
