#include "cli/capsules.h"

#include <chrono>
#include <thread>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/json/writer.h"
#include "model/ids.h"

namespace wrenn::cli {

static constexpr int kCreateWaitSeconds = 60;
static constexpr int kAnswerMarginSeconds = 15;
static constexpr auto kPollPeriod = std::chrono::milliseconds(200);

std::string capsule_target(const std::string& id, std::string_view route) {
  if (!model::SandboxId::parse(id))
    throw_error(ErrorCode::invalid_argument, "\"{}\" is no capsule id; `wrenn capsule ls` lists them", id);
  return fmt::format("/v1/capsules/{}{}", id, route);
}

std::string create_body(const CreateOptions& options) {
  std::string body;
  json::Writer writer(body);
  writer.begin_object();
  if (!options.template_name.empty()) writer.member("template", options.template_name);
  if (options.vcpus > 0) writer.member("vcpus", options.vcpus);
  if (options.memory_mb > 0) writer.member("memory_mb", options.memory_mb);
  writer.member("timeout_sec", static_cast<std::int64_t>(options.timeout_sec));
  if (!options.boot.empty()) writer.member("boot", options.boot);
  writer.end_object();
  return body;
}

json::Value post_and_wait(Api& api, const std::string& target, const std::string& body) {
  api.client().set_timeout(std::chrono::seconds(kCreateWaitSeconds + kAnswerMarginSeconds));
  http::Headers headers;
  headers.set("Prefer", fmt::format("wait={}", kCreateWaitSeconds));
  return api.post(target, body, std::move(headers));
}

json::Value create_capsule(Api& api, const CreateOptions& options) {
  return until_running(api, post_and_wait(api, "/v1/capsules", create_body(options)));
}

json::Value until_running(Api& api, json::Value capsule) {
  const std::string id(capsule.text_of("id"));
  const auto start = SteadyClock::now();
  // A server that does not know Prefer answers early; then we ask until it runs.
  while (capsule.text_of("status") == "starting" || capsule.text_of("status") == "pending") {
    if (SteadyClock::now() - start > std::chrono::seconds(kCreateWaitSeconds))
      throw_error(ErrorCode::deadline_exceeded, "{} does not run after {} s; see `wrenn capsule inspect {}`", id,
                  kCreateWaitSeconds, id);
    std::this_thread::sleep_for(kPollPeriod);
    capsule = api.get(capsule_target(id));
  }
  if (capsule.text_of("status") != "running") {
    const auto* metadata = capsule.find("metadata");
    throw_error(ErrorCode::internal, "{} did not start (status: {}) {}", id, capsule.text_of("status"),
                metadata ? metadata->text_of("reason") : "");
  }
  return capsule;
}

}  // namespace wrenn::cli
