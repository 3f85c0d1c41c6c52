#include "cp/handlers/api_keys.h"

#include "cp/handlers/account_views.h"
#include "cp/service/api_keys.h"

namespace wrenn::cp::handlers {

Task<> ApiKeys::list(Request& request, Reply& reply) {
  const auto keys = co_await services_.api_keys.list(caller_of(request));
  std::vector<api::ApiKey> view;
  for (const auto& one : keys) view.push_back(key_view(one));
  co_await send_json(reply, 200, view);
}

Task<> ApiKeys::create(Request& request, Reply& reply) {
  auto body = read_json<api::NameOnly>(request);
  const auto& caller = caller_of(request);
  const auto created = co_await services_.api_keys.create(caller, std::move(body.name));
  auto view = key_view({created.row, caller.actor.name});
  view.key = created.key;
  view.e2b_key = service::e2b_spelling(created.key);
  co_await send_json(reply, 201, view);
}

Task<> ApiKeys::revoke(Request& request, Reply& reply) {
  co_await services_.api_keys.revoke(caller_of(request), path_id<model::ApiKeyId>(request, "id"));
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
