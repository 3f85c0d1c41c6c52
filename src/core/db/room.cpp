#include "core/db/room.h"

#include "core/db/limits.h"
#include "core/log/log.h"

namespace wrenn::db {

void Room::note(const Measured& measured, SteadyTime at) noexcept {
  if (measured.kind != Measured::Kind::write) return;
  if (measured.full) {
    if (!refused_)
      log::error("the database's disk is full: it is read, but what would write is refused; free some space");
    refused_ = at;
  } else if (!measured.failed && refused_ && at - *refused_ >= limits::kRoomAgain) {
    refused_.reset();
    log::info("the database has room again");
  }
}

}  // namespace wrenn::db
