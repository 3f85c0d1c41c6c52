#include "envd/rpc.h"

#include <algorithm>

#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "envd/drain.h"

namespace wrenn::envd::rpc {

namespace {

// A count of at most 10 digits, as the protocol has it.
std::optional<std::uint64_t> parse_milliseconds(std::string_view text) {
  if (text.size() > 10) return std::nullopt;
  return parse_int<std::uint64_t>(text);
}

Task<> client_gone(http::Reply& reply) {
  co_await reply.client_gone();
  throw Error(ErrorCode::canceled, "the client has gone");
}

void log_internal(std::exception_ptr failure) {
  const auto code = code_of(failure);
  if (code == ErrorCode::internal || code == ErrorCode::unknown || code == ErrorCode::data_loss)
    log::warn("call failed", {{"error", describe(failure)}});
}

}  // namespace

std::optional<std::chrono::milliseconds> timeout_of(const http::Request& request) {
  const auto field = request.headers.get("Connect-Timeout-Ms");
  if (!field) return std::nullopt;
  const auto ms = parse_milliseconds(*field);
  if (!ms)
    throw_error(ErrorCode::invalid_argument,
                "Connect-Timeout-Ms: must be a number of at most 10 digits, not \"{}\"",
                sanitize_utf8(field->substr(0, 40)));
  const std::chrono::milliseconds timeout(*ms);
  if (*ms == 0 || timeout > limits::kLifetimeMax) return std::nullopt;
  return timeout;
}

SteadyClock::duration keepalive_of(const http::Request& request) {
  const auto field = request.headers.get("Keepalive-Ping-Interval");
  const auto seconds = field ? parse_int<std::uint32_t>(*field) : std::nullopt;
  if (!seconds || *seconds == 0) return limits::kKeepaliveDefault;
  const std::chrono::seconds asked(*seconds);
  return std::clamp<std::chrono::seconds>(asked, limits::kKeepaliveMin, limits::kKeepaliveMax);
}

Task<bool> check_content_type(http::Request& request, http::Reply& reply, std::string expected) {
  const std::string_view field = request.headers.get("Content-Type").value_or("");
  if (equals_ignoring_case(trim(field.substr(0, field.find(';'))), expected)) co_return true;
  http::Response response =
      http::connect_error(ErrorCode::unimplemented, "Content-Type: must be " + expected + " (codec JSON)");
  response.status = 415;
  response.headers.set("Accept-Post", expected);
  co_await reply.send(std::move(response));
  co_return false;
}

Task<std::string> read_body(http::Request& request, std::uint64_t limit) {
  const auto coding = request.headers.get("Content-Encoding");
  if (coding && !equals_ignoring_case(*coding, "identity"))
    throw_error(ErrorCode::unimplemented, "Content-Encoding: only identity is understood here");
  std::exception_ptr too_large;
  try {
    co_return co_await request.body->read_all(limit);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::too_large) throw;
    too_large = std::current_exception();
  }
  co_await drain(*request.body);
  std::rethrow_exception(too_large);
}

Task<std::string> read_message(http::Request& request) {
  const auto coding = request.headers.get("Connect-Content-Encoding");
  if (coding && !equals_ignoring_case(*coding, "identity"))
    throw_error(ErrorCode::unimplemented, "Connect-Content-Encoding: only identity is understood");
  http::EnvelopeReader reader(*request.body, limits::kRpcBodyBytes);
  auto envelope = co_await reader.next();
  if (!envelope || envelope->end)
    throw_error(ErrorCode::invalid_argument, "the request has no message: send one envelope");
  co_return std::move(envelope->message);
}

Task<> answer_failure(http::Reply& reply, std::exception_ptr failure) {
  if (is_disconnect(failure)) std::rethrow_exception(failure);
  log_internal(failure);
  http::Response response = http::connect_error(code_of(failure), describe(failure));
  co_await reply.send(std::move(response));
}

Task<> end_failed(http::ConnectStream& stream, std::exception_ptr failure) {
  if (is_disconnect(failure)) std::rethrow_exception(failure);
  log_internal(failure);
  const std::string text = describe(failure);
  co_await stream.fail(code_of(failure), text);
}

bool is_disconnect(std::exception_ptr failure) noexcept {
  return async::is_cancellation(failure);
}

Task<> while_connected(http::Reply& reply, std::optional<std::chrono::milliseconds> timeout, Task<> work) {
  auto gone = client_gone(reply);
  if (!timeout) {
    co_await async::first_of(std::move(work), std::move(gone));
    co_return;
  }
  auto timed = async::with_timeout(*timeout, "call", std::move(work));
  co_await async::first_of(std::move(timed), std::move(gone));
}

}  // namespace wrenn::envd::rpc
