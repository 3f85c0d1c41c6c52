// process.Process: the calls of clients on processes (spec/envd.md §10.1, spec/e2b/envd-api.md §4).
#pragma once

#include "core/http/connect_rpc.h"
#include "core/http/router.h"
#include "envd/defaults.h"
#include "envd/process/table.h"

namespace wrenn::envd::process {

class Service {
 public:
  // Both must outlive this.
  Service(async::Executor executor, Table& table, const Defaults& defaults)
      : executor_(executor), table_(table), defaults_(defaults) {}

  // Adds the routes; this must outlive the router.
  void add_routes(http::Router& router);

 private:
  using Call = const http::Request&;

  Task<> start(http::Request& request, http::Reply& reply, http::ConnectStream& stream);
  Task<> connect(http::Request& request, http::Reply& reply, http::ConnectStream& stream);
  Task<> stream_input(http::Request& request, http::Reply& reply, http::ConnectStream& stream);
  Task<api::envd::ListResponse> list(api::envd::Empty message, Call call);
  Task<api::envd::Empty> update(api::envd::UpdateRequest message, Call call);
  Task<api::envd::Empty> send_input(api::envd::SendInputRequest message, Call call);
  Task<api::envd::Empty> send_signal(api::envd::SendSignalRequest message, Call call);
  Task<api::envd::Empty> close_stdin(api::envd::CloseStdinRequest message, Call call);

  Launch prepare(api::envd::StartRequest message, const http::Request& request) const;
  Task<> forward(http::ConnectStream& stream, Subscription& subscription, SteadyClock::duration keepalive);

  async::Executor executor_;
  Table& table_;
  const Defaults& defaults_;
};

}  // namespace wrenn::envd::process
