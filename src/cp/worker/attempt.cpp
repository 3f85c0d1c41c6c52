#include "cp/worker/attempt.h"

#include "core/base/error.h"
#include "core/log/log.h"

namespace wrenn::cp::worker {

async::Task<> attempt(std::string_view message, async::Task<> round, std::string of) {
  std::exception_ptr failure;
  try {
    co_await std::move(round);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (async::is_cancellation(failure)) std::rethrow_exception(failure);
  const auto error = wrenn::describe(failure);
  if (of.empty())
    log::warn(message, {{"error", error}});
  else
    log::warn(message, {{"of", of}, {"error", error}});
}

}  // namespace wrenn::cp::worker
