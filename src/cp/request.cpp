#include "cp/request.h"

#include "core/base/check.h"
#include "cp/service/admission.h"

namespace wrenn::cp {

const service::Caller& caller_of(const Request& request) {
  const auto* caller = std::any_cast<service::Caller>(&request.context);
  WRENN_CHECK(caller != nullptr);  // a route that was added without a key but asks who is there
  return *caller;
}

model::SandboxId sandbox_id_of(const Request& request) {
  const auto found = request.params.find("id");
  const auto id = found == request.params.end() ? std::nullopt : model::SandboxId::parse(found->second);
  if (!id) throw_error(ErrorCode::invalid_argument, "invalid sandbox ID");
  return *id;
}

std::chrono::milliseconds patience(const Config& config, const Request& request, Reply& reply) {
  const auto prefer = request.headers.get("Prefer");
  const auto asked = prefer ? service::parse_prefer_wait(*prefer) : std::nullopt;
  if (!asked) return config.answer_within;
  reply.headers.set("Preference-Applied", fmt::format("wait={}", asked->count()));
  return *asked;
}

Task<> send_no_content(Reply& reply) {
  http::Response response;
  response.status = 204;
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::cp
