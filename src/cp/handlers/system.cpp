#include "cp/handlers/system.h"

#include "core/base/version.h"
#include "cp/embedded_file.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::handlers {

Task<> System::health(Request&, Reply& reply) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("status", "ok");
  writer.member("version", kVersion);
  writer.end_object();
  auto response = http::json_response(200, std::move(text));
  co_await reply.send(std::move(response));
}

Task<> System::openapi(Request&, Reply& reply) {
  http::Response response;
  response.headers.set("Content-Type", "application/yaml");
  response.body = kOpenApiFiles.front().text;
  co_await reply.send(std::move(response));
}

Task<> System::prometheus(Request&, Reply& reply) {
  auto count = [](db::Connection& connection) { return store::count_sandboxes(connection); };
  const auto counts = co_await services_.database.read(count);
  using enum model::SandboxState;
  // Every state each time: a series that vanishes when its count is zero breaks graphs.
  for (const auto state : {pending, starting, running, pausing, paused, resuming, stopping, missing}) {
    const metrics::Labels labels{{"status", std::string(to_string(state))}};
    const auto found = counts.find(state);
    services_.metrics.gauge("wrenn_cp_sandboxes", "Capsules that are neither stopped nor failed.", labels)
        .set(found == counts.end() ? 0 : static_cast<double>(found->second));
  }
  services_.metrics.gauge("wrenn_cp_operations", "Creates, pauses, resumes and destroys under way.")
      .set(static_cast<double>(services_.capsules.operations()));
  http::Response response;
  response.headers.set("Content-Type", metrics::kContentType);
  response.body = services_.metrics.render();
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::cp::handlers
