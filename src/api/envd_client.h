// Calls to a guest's envd, directly (agent) or through the agent's pass-through (control plane). The guest is hostile:
// every answer is bounded in size and time, every stream by the strict HTTP and envelope parsers below.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "api/envd.h"
#include "core/http/client.h"
#include "core/http/connect_rpc.h"

namespace wrenn::api {

using async::Task;

// The events of one running process.
class ProcessStream {
 public:
  // Absent after the end event has been delivered. Keep-alives are swallowed. Throws Error(unavailable) if the stream
  // breaks off without an end event (never taken for success), or the Error that envd sent.
  Task<std::optional<envd::ProcessEvent>> next();

 private:
  friend class EnvdClient;
  explicit ProcessStream(http::ConnectCall call) : call_(std::move(call)) {}
  http::ConnectCall call_;
  bool ended_ = false;
};

class EnvdClient {
 public:
  // `client` must outlive this. `prefix` stands before every path ("" or "/sandboxes/cl-…/envd").
  EnvdClient(http::Client& client, std::string prefix, http::Headers headers = {});

  // user: whose name goes into the Basic header; empty: the guest's default user.
  EnvdClient as_user(std::string user) const;

  Task<> health(std::chrono::steady_clock::duration timeout);
  Task<> init(envd::InitRequest request, std::chrono::steady_clock::duration timeout);
  Task<envd::Metrics> metrics();

  // `lifetime`: envd kills the process after it (Connect-Timeout-Ms); zero: no limit.
  Task<ProcessStream> start(envd::StartRequest request, std::chrono::milliseconds lifetime);
  Task<ProcessStream> connect(envd::ProcessSelector process);
  Task<envd::ListResponse> list();
  Task<> send_input(envd::ProcessSelector process, envd::ProcessInput input);
  Task<> close_stdin(envd::ProcessSelector process);
  Task<> send_signal(envd::ProcessSelector process, int number);  // SIGTERM or SIGKILL
  Task<> resize(envd::ProcessSelector process, envd::PtySize size);

  Task<envd::EntryInfo> stat(std::string path);
  Task<envd::EntryInfo> make_dir(std::string path);
  Task<envd::EntryInfo> move(std::string source, std::string destination);
  Task<envd::ListDirResponse> list_dir(std::string path, std::uint32_t depth);
  Task<> remove(std::string path);

  // GET /files: returns after the head with status 200 or 206; throws Error(not_found, …) etc. otherwise. `fields` may
  // hold Range. The body is then read from the exchange.
  Task<std::unique_ptr<http::Exchange>> read_file(std::string path, http::Headers fields = {});
  // POST /files, application/octet-stream, chunked: write to the exchange, then finish_write().
  Task<std::unique_ptr<http::Exchange>> begin_write(std::string path);
  Task<> finish_write(http::Exchange& exchange);

 private:
  template <typename Response, typename Request>
  Task<Response> call(std::string method, Request request);

  http::Client& client_;
  std::string prefix_;
  http::Headers headers_;
};

}  // namespace wrenn::api
