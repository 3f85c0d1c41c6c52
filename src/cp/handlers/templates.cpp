#include "cp/handlers/templates.h"

#include "cp/handlers/views.h"

namespace wrenn::cp::handlers {

Task<> Templates::list(Request& request, Reply& reply) {
  const auto type = request.query_value("type").value_or("");
  if (!type.empty() && type != "base" && type != "snapshot")
    throw_error(ErrorCode::invalid_argument, "type: must be base or snapshot");
  const auto rows = co_await services_.templates.usable(caller_of(request).team);
  std::vector<api::Template> views;
  for (const auto& row : rows)
    if (type.empty() || row.type == type) views.push_back(template_view(row));
  co_await send_json(reply, 200, views);
}

}  // namespace wrenn::cp::handlers
