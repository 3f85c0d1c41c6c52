#include "cp/request.h"

#include "core/base/check.h"

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

Task<> send_no_content(Reply& reply) {
  http::Response response;
  response.status = 204;
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::cp
