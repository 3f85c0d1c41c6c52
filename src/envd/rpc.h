// Connect-RPC handlers as plain member functions: Request in, Response out, failures thrown. This is the edge
// that turns what they throw into the error forms of the protocol, and that checks media type and size
// before.
//
//   router.add("POST", "/process.Process/List", unary(this, &Service::list));
//   Task<Response> Service::list(Request message, const http::Request& call);
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/http/connect_rpc.h"
#include "core/json/fields.h"
#include "envd/limits.h"

namespace wrenn::envd::rpc {

using async::Task;

// Connect-Timeout-Ms; absent when missing or 0 (no limit). Throws Error(invalid_argument).
std::optional<std::chrono::milliseconds> timeout_of(const http::Request& request);

// Keepalive-Ping-Interval: how long a stream may be silent before a sign of life; anything odd is the
// default.
SteadyClock::duration keepalive_of(const http::Request& request);

// False, after answering 415, unless the content type is `expected` (parameters apart).
Task<bool> check_content_type(http::Request& request, http::Reply& reply, std::string expected);
// The whole body. Throws Error(too_large, …) with the remedy, Error(unimplemented) for a compressed one.
Task<std::string> read_body(http::Request& request, std::uint64_t limit);
// The one message of a server-streaming call. Throws Error(invalid_argument).
Task<std::string> read_message(http::Request& request);

Task<> answer_failure(http::Reply& reply, std::exception_ptr failure);
Task<> end_failed(http::ConnectStream& stream, std::exception_ptr failure);
// The client broke off: nobody is left to answer.
bool is_disconnect(std::exception_ptr failure) noexcept;

// Ends with the first of: `work`, the client going away, Connect-Timeout-Ms (Error(deadline_exceeded)).
Task<> while_connected(http::Reply& reply, std::optional<std::chrono::milliseconds> timeout, Task<> work);

template <typename Response>
Task<> store_result(Task<Response> work, std::string& json) {
  const Response response = co_await std::move(work);
  json = json::to_json(response);
}
// A method that writes its answer's JSON itself.
inline Task<> store_result(Task<std::string> work, std::string& json) {
  json = co_await std::move(work);
}

template <typename Service, typename Message, typename Response>
Task<> serve_unary(Service* service, Task<Response> (Service::*method)(Message, const http::Request&),
                   std::uint64_t limit, http::Request& request, http::Reply& reply) {
  std::string expected(http::kConnectJson);
  if (!co_await check_content_type(request, reply, std::move(expected))) co_return;
  std::exception_ptr failure;
  std::string json;
  try {
    const std::string body = co_await read_body(request, limit);
    Message message = json::from_json<Message>(body);
    auto timeout = timeout_of(request);
    auto call = (service->*method)(std::move(message), request);
    auto work = store_result(std::move(call), json);
    co_await while_connected(reply, timeout, std::move(work));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await answer_failure(reply, failure);
    co_return;
  }
  http::Response response;
  response.headers.set("Content-Type", http::kConnectJson);
  response.body = std::move(json);
  co_await reply.send(std::move(response));
}

// A streaming call: the method sends messages, then returns (a proper end) or throws (an error end: clients read
// an error only in the stream).
template <typename Service>
Task<> serve_stream(Service* service,
                    Task<> (Service::*method)(http::Request&, http::Reply&, http::ConnectStream&),
                    http::Request& request, http::Reply& reply) {
  std::string expected(http::kConnectStreamJson);
  if (!co_await check_content_type(request, reply, std::move(expected))) co_return;
  http::ConnectStream stream(reply);
  std::exception_ptr failure;
  try {
    co_await (service->*method)(request, reply, stream);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await end_failed(stream, failure);
  } else {
    co_await stream.end();
  }
}

template <typename Service, typename Message, typename Response>
http::Handler unary(Service* service, Task<Response> (Service::*method)(Message, const http::Request&),
                    std::uint64_t limit = limits::kRpcBodyBytes) {
  return [=](http::Request& request, http::Reply& reply) {
    return serve_unary(service, method, limit, request, reply);
  };
}

template <typename Service>
http::Handler streaming(Service* service,
                        Task<> (Service::*method)(http::Request&, http::Reply&, http::ConnectStream&)) {
  return [=](http::Request& request, http::Reply& reply) {
    return serve_stream(service, method, request, reply);
  };
}

}  // namespace wrenn::envd::rpc
