// What stands around every request: its id, the prefix /api, the route, errors, the access log and the
// figures.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/http/router.h"
#include "core/metrics/metrics.h"

namespace wrenn::cp {

using async::Task;

class Middleware {
 public:
  // Both must outlive this.
  Middleware(const http::Router& router, metrics::Registry& metrics) : router_(router), metrics_(metrics) {}

  Task<> handle(http::Request& request, http::Reply& reply);

 private:
  Task<> answer(http::Request& request, http::Reply& reply, const http::Router::Match& match);
  void note(const http::Request& request, const http::Router::Match& match, int status,
            std::chrono::steady_clock::duration took, std::string_view request_id);

  // Looking a series up by name and labels is slow beside a request: the handles are kept.
  struct Series {
    std::string route;  // "GET /v1/capsules/{id}"
    metrics::Histogram* seconds = nullptr;
    std::map<int, metrics::Counter*> by_status;
  };
  Series& series_of(const http::Request& request, const http::Router::Match& match);

  const http::Router& router_;
  metrics::Registry& metrics_;
  std::unordered_map<const http::Handler*, Series> series_;  // null: no such route
};

}  // namespace wrenn::cp
