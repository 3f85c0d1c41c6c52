#include "cp/handlers/capsules.h"

#include "core/http/query.h"
#include "cp/handlers/views.h"
#include "cp/service/admission.h"

namespace wrenn::cp::handlers {

Task<> Capsules::create(Request& request, Reply& reply) {
  const auto body = read_json<api::CreateCapsule>(request);
  const service::Bounds bounds{services_.config.max_vcpus, services_.config.max_memory_mb};
  auto input = service::admit_create(body, bounds);
  const auto wait = patience(services_.config, request, reply);
  const auto row = co_await services_.capsules.create(caller_of(request), std::move(input), wait);
  reply.headers.set("Location", request.path + "/" + row.id.text());
  co_await send_json(reply, 201, detailed_view(row, services_.domain));
}

Task<> Capsules::list(Request& request, Reply& reply) {
  auto labels = service::admit_label_filter(http::query_values(request.query, "metadata"));
  auto text = co_await texts_.list(caller_of(request).team, std::move(labels));
  auto response = http::json_response(200, std::move(text));
  co_await reply.send(std::move(response));
}

Task<> Capsules::get(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto row = co_await services_.capsules.get(caller_of(request).team, id);
  co_await send_json(reply, 200, detailed_view(row, services_.domain));
}

Task<> Capsules::destroy(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  co_await services_.capsules.destroy(caller_of(request), id);
  co_await send_no_content(reply);
}

Task<> Capsules::pause(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto row = co_await services_.capsules.pause(caller_of(request), id);
  co_await send_json(reply, 200, detailed_view(row, services_.domain));
}

Task<> Capsules::resume(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto wait = patience(services_.config, request, reply);
  const auto row = co_await services_.capsules.resume(caller_of(request), id, wait);
  co_await send_json(reply, 200, detailed_view(row, services_.domain));
}

Task<> Capsules::fork(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto body = read_json<api::ForkCapsule>(request);
  auto input = service::admit_fork(std::move(body));
  const auto wait = patience(services_.config, request, reply);
  const auto rows = co_await services_.capsules.fork(caller_of(request), id, std::move(input), wait);
  api::ForkedCapsules view;
  for (const auto& row : rows) view.capsules.push_back(detailed_view(row, services_.domain));
  co_await send_json(reply, 201, view);
}

Task<> Capsules::ping(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  co_await services_.capsules.ping(caller_of(request).team, id);
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
