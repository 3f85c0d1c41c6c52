#include "cp/handlers/templates.h"

#include "cp/handlers/views.h"
#include "cp/service/admission.h"

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

Task<> Templates::create(Request& request, Reply& reply) {
  const auto body = read_json<api::CreateSnapshot>(request);
  const auto overwrite = request.query_value("overwrite").value_or("");
  auto input = service::admit_snapshot(body, overwrite);
  const auto row = co_await services_.snapshots.create(caller_of(request), std::move(input));
  co_await send_json(reply, 201, template_view(row));
}

Task<> Templates::list_all(Request&, Reply& reply) {
  const auto rows = co_await services_.templates.all();
  std::vector<api::AdminTemplate> views;
  for (const auto& row : rows) views.push_back(admin_template_view(row));
  co_await send_json(reply, 200, views);
}

Task<> Templates::turn_into(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto body = read_json<api::CreateSnapshot>(request);
  body.sandbox_id = id.text();
  auto input = service::admit_snapshot(body, "true");
  input.then_destroy = true;
  const auto row = co_await services_.snapshots.create(caller_of(request), std::move(input));
  co_await send_json(reply, 201, template_view(row));
}

Task<> Templates::remove(Request& request, Reply& reply) {
  auto name = request.params.find("name")->second;
  service::admit_template_name(name);
  co_await services_.snapshots.remove(caller_of(request), std::move(name));
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
