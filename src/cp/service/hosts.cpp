#include "cp/service/hosts.h"

#include "cp/service/failures.h"

namespace wrenn::cp::service {

static bool sees(const Caller& caller, const store::Host& host) {
  return caller.is_admin || (host.type == store::kByocHost && host.team == caller.team);
}

Task<std::vector<store::ListedHost>> Hosts::list(Caller caller) {
  auto read = [&](db::Connection& connection) {
    return caller.is_admin ? store::all_hosts(connection) : store::byoc_hosts_of(connection, caller.team);
  };
  co_return co_await database_.read(read);
}

Task<store::ListedHost> Hosts::get(Caller caller, model::HostId id) {
  auto read = [&](db::Connection& connection) { return store::find_host(connection, id); };
  auto found = co_await database_.read(read);
  if (!found || !sees(caller, found->host)) throw_error(ErrorCode::not_found, "host not found");
  co_return std::move(*found);
}

Task<api::agent::MetricsResponse> Hosts::metrics(Caller caller, model::HostId id, std::string range) {
  (void)co_await get(std::move(caller), id);
  api::agent::HostMetricsRequest request{std::move(range)};
  std::exception_ptr failure;
  try {
    co_return co_await agents_.at(id).agent.host_metrics(std::move(request));
  } catch (...) {
    failure = std::current_exception();
  }
  throw_host_failure(failure);
}

}  // namespace wrenn::cp::service
