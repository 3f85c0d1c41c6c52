// Requests over HTTP and HTTPS to servers of others. A Client has threads of its own, on which requests
// block, and keeps connections open between them.
//
//   outbound::Client client({});
//   outbound::Request request{.method = "POST", .url = url, .body = text};
//   request.headers.set("Content-Type", "application/json");
//   const outbound::Response answer = co_await client.send(std::move(request));
//
// A redirect is an answer like any other. There is no proxy, no cookie, no compression. A request over a kept
// connection that turns out to be closed is sent once more, so a server may see it twice.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/async/offload.h"
#include "core/base/clock.h"
#include "core/http/headers.h"
#include "core/outbound/address_policy.h"
#include "core/outbound/limits.h"

namespace wrenn::outbound {

struct Request {
  std::string method = "GET";
  std::string url;  // http:// or https://; paths of chat services are secrets, so messages name only the host
  http::Headers headers = {};  // without Host, Content-Length and Transfer-Encoding
  std::string body = {};
  std::chrono::milliseconds timeout = limits::kRequestTimeout;  // from send() to the end of the answer
  std::size_t max_answer_bytes = limits::kAnswerBytes;
  bool cut_answer = false;  // a larger body is cut; otherwise it is an error
  AddressPolicy policy = {};
};

struct Response {
  int status = 0;
  http::Headers headers;
  std::string body;
  bool cut = false;
};

struct ClientOptions {
  std::size_t threads = limits::kThreads;
  std::string ca_file = {};  // empty: the machine's
  // "host:port:address[,address]": answers of a name server that need none. For tests.
  std::vector<std::string> fixed_names = {};
};

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();  // stop(), then waits for what is under way

  // Any status is an answer. Throws Error:
  //   invalid_argument   the URL, the method or a header field is wrong
  //   permission_denied  the policy does not allow the address
  //   deadline_exceeded  no whole answer in time
  //   too_large          the answer has more than max_answer_bytes, or an endless head
  //   unavailable        no connection, no trust in the server's certificate, no valid HTTP
  //   canceled           stop() was called
  async::Task<Response> send(Request request);
  // The same on the calling thread, which it blocks.
  Response send_now(const Request& request);

  // Ends what is under way within a second or so, and what comes later at once. Any thread.
  void stop() noexcept { stopped_ = true; }

 private:
  struct Idle;
  class Lease;
  Response run(const Request& request, SteadyTime started);

  ClientOptions options_;
  std::unique_ptr<Idle> idle_;
  std::atomic<bool> stopped_ = false;
  async::ThreadPool threads_;  // the last member: its threads use the others
};

}  // namespace wrenn::outbound
