#include "cp/middleware.h"

#include <algorithm>

#include "api/errors.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/http/websocket.h"
#include "core/log/log.h"
#include "cp/errors.h"

namespace wrenn::cp {

namespace {

constexpr std::string_view kRequestId = "X-Request-Id";
constexpr std::size_t kRequestIdBytes = 64;
constexpr std::string_view kApiPrefix = "/api";

// The client's own id, if it is one that may stand in a log; else a new one.
std::string request_id_of(const http::Request& request) {
  const auto is_plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  };
  const auto told = request.headers.get(kRequestId);
  if (told && !told->empty() && told->size() <= kRequestIdBytes &&
      std::all_of(told->begin(), told->end(), is_plain))
    return std::string(*told);
  return random_hex(8);
}

// Notes which status was answered.
class NotingReply final : public http::Reply {
 public:
  explicit NotingReply(http::Reply& inner) : inner_(inner) {}

  Task<> send(http::Response response) override {
    status_ = response.status;
    inner_.headers = headers;
    return inner_.send(std::move(response));
  }
  Task<std::unique_ptr<http::BodyWriter>> stream(int status, http::Headers fields,
                                                 std::optional<std::uint64_t> length) override {
    status_ = status;
    inner_.headers = headers;
    return inner_.stream(status, std::move(fields), length);
  }
  Task<http::WebSocket> accept_websocket(const http::WebSocketOptions& options) override {
    status_ = 101;
    inner_.headers = headers;
    return inner_.accept_websocket(options);
  }
  net::Stream hijack(std::string& unread) override {
    status_ = 101;
    return inner_.hijack(unread);
  }
  Task<> client_gone() override { return inner_.client_gone(); }
  bool started() const noexcept override { return inner_.started(); }
  int status() const noexcept { return status_; }

 private:
  http::Reply& inner_;
  int status_ = 0;
};

}  // namespace

Task<> Middleware::handle(http::Request& request, http::Reply& reply) {
  const auto start = SteadyClock::now();
  NotingReply noting(reply);
  const auto request_id = request_id_of(request);
  noting.headers.set(kRequestId, request_id);
  if (request.path.starts_with(kApiPrefix) && request.path.substr(kApiPrefix.size()).starts_with("/v1/"))
    request.path.erase(0, kApiPrefix.size());

  const auto match = router_.match(request);
  std::exception_ptr failure;
  try {
    co_await answer(request, noting, match);
  } catch (...) {
    failure = std::current_exception();
  }
  bool cut = false;
  if (failure) {
    cut = noting.started();
    if (!cut) {
      auto response = render_error(500, failure, &request);
      co_await noting.send(std::move(response));
    }
  }
  note(request, match, noting.status(), SteadyClock::now() - start, request_id);
  // The answer had begun: the server cuts the connection, so that the client notices.
  if (cut) std::rethrow_exception(failure);
}

Task<> Middleware::answer(http::Request& request, http::Reply& reply, const http::Router::Match& match) {
  using Found = http::Router::Found;
  if (match.found == Found::yes) {
    co_await (*match.handler)(request, reply);
    co_return;
  }
  http::Response response;
  if (match.found == Found::no_method) {
    response = http::json_response(
        405, api::error_envelope("invalid_request", fmt::format("{} is not allowed here; allowed: {}",
                                                                request.method, match.allow)));
    response.headers.set("Allow", match.allow);
  } else {
    response = http::json_response(404, api::error_envelope("not_found", "no such route"));
  }
  co_await reply.send(std::move(response));
}

Middleware::Series& Middleware::series_of(const http::Request& request, const http::Router::Match& match) {
  // A path or method without a route is the client's invention; as a label it would be unbounded.
  const auto* key = match.found == http::Router::Found::yes ? match.handler : nullptr;
  auto& series = series_[key];
  if (!series.route.empty()) return series;
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  series.route = key == nullptr ? "none" : fmt::format("{} {}", method, match.pattern);
  const metrics::Labels labels{{"route", series.route}};
  series.seconds =
      &metrics_.histogram("wrenn_cp_http_request_duration_seconds", "From head to end of the answer.",
                          metrics::duration_bounds_seconds(), labels);
  return series;
}

void Middleware::note(const http::Request& request, const http::Router::Match& match, int status,
                      std::chrono::steady_clock::duration took, std::string_view request_id) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  auto& series = series_of(request, match);
  auto& counter = series.by_status[status];
  if (counter == nullptr) {
    const metrics::Labels labels{{"route", series.route}, {"status", std::to_string(status)}};
    counter = &metrics_.counter("wrenn_cp_http_requests_total", "Requests answered.", labels);
  }
  counter->add();
  // Streams last as long as their user likes; their time says nothing about us.
  if (status != 101) series.seconds->observe(std::chrono::duration<double>(took).count());
  log::write(status >= 500 ? log::Level::warn : log::Level::debug, "request",
             {{"method", request.method},
              {"path", request.path},
              {"status", status},
              {"ms", ms},
              {"peer", request.peer},
              {"request_id", request_id}});
}

}  // namespace wrenn::cp
