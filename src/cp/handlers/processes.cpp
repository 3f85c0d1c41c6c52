#include "cp/handlers/processes.h"

#include <csignal>

#include "cp/handlers/views.h"
#include "cp/service/admission.h"
#include "cp/service/failures.h"

namespace wrenn::cp::handlers {

using service::from_agent;

Task<> Processes::list(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  auto call = capsule.envd.list();
  const auto told = co_await from_agent(std::move(call));
  api::Processes view;
  for (const auto& process : told.processes) view.processes.push_back(process_view(process));
  co_await send_json(reply, 200, view);
}

Task<> Processes::kill(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto selector = service::parse_selector(request.params["selector"]);
  auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  // Anything but SIGTERM is SIGKILL (spec/rest-api.md §5).
  const int signal = request.query_value("signal") == "SIGTERM" ? SIGTERM : SIGKILL;
  auto call = capsule.envd.send_signal(std::move(selector), signal);
  co_await from_agent(std::move(call));
  services_.capsules.note_activity(id);
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
