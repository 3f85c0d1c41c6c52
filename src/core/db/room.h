// Whether a database has room for what is to be written: told in the log once, and to whoever asks.
#pragma once

#include <optional>

#include "core/base/clock.h"
#include "core/db/database.h"

namespace wrenn::db {

// For one thread.
class Room {
 public:
  // What an observer of the database is told, and when.
  void note(const Measured& measured, SteadyTime at) noexcept;

  // A write was refused for want of room, and limits::kRoomAgain or more after the last such refusal none has
  // worked yet.
  bool lacking() const noexcept { return refused_.has_value(); }

 private:
  std::optional<SteadyTime> refused_;  // the last one
};

}  // namespace wrenn::db
