#include "cp/service/note.h"

#include <exception>

#include "core/base/error.h"

namespace wrenn::cp::service {

async::Task<> note(db::Database& database, std::function<void(db::Connection&)> write, log::Level level,
                   std::string_view lost, std::string of) {
  try {
    co_await database.write(write);
  } catch (const db::Failure& failure) {
    log::write(level, lost, {{"of", of}, {"error", failure.what()}});
  }
}

}  // namespace wrenn::cp::service
