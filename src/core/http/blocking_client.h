// A blocking client on cpp-httplib, for threads that may block: the CLI, and wherever a second opinion on our
// server is wanted. Never used on a loop thread. One thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/http/message.h"

namespace wrenn::http {

class BlockingClient {
 public:
  // base_url: "http://127.0.0.1:8000" or "https://…" (a path prefix is kept); `headers` go with every
  // request. Throws Error(invalid_argument).
  explicit BlockingClient(std::string_view base_url, Headers headers = {});
  ~BlockingClient();

  void set_timeout(std::chrono::seconds timeout);  // per read and write; default 30 s

  // All three throw Error(unavailable | deadline_exceeded) with what, why and what to do when no whole answer
  // comes, Error(too_large) for an answer that does not fit into memory; any status is an answer. Exceptions
  // of the callbacks pass through.
  Response send(std::string_view method, std::string_view target, Headers headers, std::string body);

  // Answer body in pieces; `receive` returns false to stop. The Response has no body unless its status is not
  // 2xx.
  Response download(std::string_view method, std::string_view target, Headers headers, std::string body,
                    const std::function<bool(std::string_view)>& receive);

  // Request body in pieces: `produce` fills the empty `out` and returns false with the last piece or behind
  // it. A server that answers and closes before it has read everything looks like one that broke off.
  Response upload(std::string_view method, std::string_view target, Headers headers,
                  std::string_view content_type, const std::function<bool(std::string& out)>& produce);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wrenn::http
