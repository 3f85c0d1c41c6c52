#include "cp/handlers/capsules.h"

#include "cp/handlers/views.h"
#include "cp/service/admission.h"

namespace wrenn::cp::handlers {

std::chrono::milliseconds Capsules::patience(const Request& request, Reply& reply) const {
  const auto prefer = request.headers.get("Prefer");
  const auto asked = prefer ? service::parse_prefer_wait(*prefer) : std::nullopt;
  if (!asked) return services_.config.answer_within;
  reply.headers.set("Preference-Applied", fmt::format("wait={}", asked->count()));
  return *asked;
}

api::Capsule Capsules::detailed_view(const store::Sandbox& row) const {
  auto view = capsule_view(row);
  view.domain = services_.domain;
  if (row.status != model::SandboxState::stopped) view.envd_access_token = row.access_token;
  return view;
}

Task<> Capsules::create(Request& request, Reply& reply) {
  const auto body = co_await read_json<api::CreateCapsule>(request);
  const service::Bounds bounds{services_.config.max_vcpus, services_.config.max_memory_mb};
  auto input = service::admit_create(body, bounds);
  const auto wait = patience(request, reply);
  const auto row = co_await services_.capsules.create(caller_of(request).team, std::move(input), wait);
  reply.headers.set("Location", "/v1/capsules/" + row.id.text());
  co_await send_json(reply, 201, detailed_view(row));
}

Task<> Capsules::list(Request& request, Reply& reply) {
  auto text = co_await texts_.list(caller_of(request).team);
  auto response = http::json_response(200, std::move(text));
  co_await reply.send(std::move(response));
}

Task<> Capsules::get(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto row = co_await services_.capsules.get(caller_of(request).team, id);
  co_await send_json(reply, 200, detailed_view(row));
}

Task<> Capsules::destroy(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  co_await services_.capsules.destroy(caller_of(request).team, id);
  co_await send_no_content(reply);
}

Task<> Capsules::pause(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto row = co_await services_.capsules.pause(caller_of(request).team, id);
  co_await send_json(reply, 200, detailed_view(row));
}

Task<> Capsules::resume(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto wait = patience(request, reply);
  const auto row = co_await services_.capsules.resume(caller_of(request).team, id, wait);
  co_await send_json(reply, 200, detailed_view(row));
}

Task<> Capsules::ping(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  co_await services_.capsules.ping(caller_of(request).team, id);
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
