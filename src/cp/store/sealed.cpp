#include "cp/store/sealed.h"

#include <vector>

namespace wrenn::cp::store {

namespace {

// Bounds what is held at once: an answer has a few hundred bytes, and there may be those of a whole day.
constexpr std::int64_t kAtOnce = 500;

struct Stored {
  std::vector<db::Param> key;
  std::string text;
};

// `select` gives the columns of the key and then the text, from behind a key on; `update` takes the same.
Resealed reseal_all(db::Connection& connection, std::string_view select, std::string_view update,
                    std::vector<db::Param> after, const Reseal& reseal) {
  Resealed done;
  const int columns = static_cast<int>(after.size());
  for (;;) {
    std::vector<Stored> batch;
    after.emplace_back(kAtOnce);
    connection.query(select, after, [&](const db::Row& row) {
      auto& one = batch.emplace_back();
      for (int column = 0; column < columns; ++column) one.key.emplace_back(row.text(column));
      one.text = row.text(columns);
    });
    for (const auto& one : batch) {
      auto text = reseal(one.text);
      if (!text) {
        ++done.left;
        continue;
      }
      auto params = one.key;
      params.emplace_back(std::move(*text));
      connection.execute(update, params);
      ++done.changed;
    }
    if (static_cast<std::int64_t>(batch.size()) < kAtOnce) return done;
    after = std::move(batch.back().key);
  }
}

}  // namespace

Resealed reseal_channels(db::Connection& connection, const Reseal& reseal) {
  return reseal_all(connection, "SELECT id, config FROM channels WHERE id > $1 ORDER BY id LIMIT $2",
                    "UPDATE channels SET config = $2 WHERE id = $1", {""}, reseal);
}

Resealed reseal_answers(db::Connection& connection, const Reseal& reseal) {
  return reseal_all(
      connection,
      "SELECT team_id, actor_id, key, answer FROM idempotency_keys "
      "WHERE answer_status IS NOT NULL AND (team_id, actor_id, key) > ($1, $2, $3) "
      "ORDER BY team_id, actor_id, key LIMIT $4",
      "UPDATE idempotency_keys SET answer = $4 WHERE team_id = $1 AND actor_id = $2 AND key = $3",
      {"", "", ""}, reseal);
}

}  // namespace wrenn::cp::store
