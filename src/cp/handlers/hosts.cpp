#include "cp/handlers/hosts.h"

#include "cp/handlers/metrics.h"
#include "cp/handlers/views.h"

namespace wrenn::cp::handlers {

Task<> Hosts::list(Request& request, Reply& reply) {
  const auto& caller = caller_of(request);
  const auto hosts = co_await services_.known_hosts.list(caller);
  std::vector<api::Host> views;
  for (const auto& one : hosts) views.push_back(host_view(one, caller.is_admin));
  co_await send_json(reply, 200, views);
}

Task<> Hosts::get(Request& request, Reply& reply) {
  const auto& caller = caller_of(request);
  const auto host = co_await services_.known_hosts.get(caller, path_id<model::HostId>(request, "id"));
  co_await send_json(reply, 200, host_view(host, caller.is_admin));
}

Task<> Hosts::metrics(Request& request, Reply& reply) {
  const auto id = path_id<model::HostId>(request, "id");
  auto range = metrics_range_of(request);
  const auto told = co_await services_.known_hosts.metrics(caller_of(request), id, range);
  co_await send_json(reply, 200, host_metrics_view(id.text(), std::move(range), told));
}

}  // namespace wrenn::cp::handlers
