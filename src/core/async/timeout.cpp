#include "core/async/timeout.h"

namespace wrenn::async {

Task<> with_timeout(std::chrono::steady_clock::duration duration, std::string_view what, Task<> task) {
  auto limit = sleep(duration);
  const int first = co_await first_of(std::move(task), std::move(limit));
  if (first == 1) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    throw_error(ErrorCode::deadline_exceeded, "{}: no answer within {} ms", what, ms);
  }
}

}  // namespace wrenn::async
