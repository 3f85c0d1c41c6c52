#include "cp/handlers/metrics.h"

#include "cp/handlers/views.h"
#include "cp/service/admission.h"

namespace wrenn::cp::handlers {

static constexpr std::string_view kDefaultRange = "10m";

std::string metrics_range_of(const Request& request) {
  auto range = request.query_value("range").value_or(std::string(kDefaultRange));
  if (!service::is_metrics_range(range))
    throw_error(ErrorCode::invalid_argument, "range: must be 5m, 10m, 1h, 2h, 6h, 12h or 24h");
  return range;
}

Task<> CapsuleMetrics::get(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto range = metrics_range_of(request);
  const auto told = co_await services_.capsules.metrics(caller_of(request).team, id, range);
  co_await send_json(reply, 200, metrics_view(id.text(), std::move(range), told));
}

}  // namespace wrenn::cp::handlers
