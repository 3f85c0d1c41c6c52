#include "core/async/task.h"

#include "core/base/error.h"

namespace wrenn::async {

Task<> sleep(std::chrono::steady_clock::duration duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  asio::error_code error;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (error) throw Error(ErrorCode::canceled, "sleep: cancelled");
}

Task<> yield() {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
}

void throw_asio(const asio::error_code& error, std::string_view what) {
  if (error == asio::error::operation_aborted) throw_error(ErrorCode::canceled, "{}: cancelled", what);
  if (error == asio::error::eof)
    throw_error(ErrorCode::unavailable, "{}: the peer closed the connection", what);
  if (error.category() == asio::error::get_system_category()) throw SystemError(error.value(), what);
  throw_error(ErrorCode::unavailable, "{}: {}", what, error.message());
}

bool is_cancellation(std::exception_ptr error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return e.code() == ErrorCode::canceled;
  } catch (const asio::system_error& e) {
    return e.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

}  // namespace wrenn::async
