#include "cp/handlers/me.h"

#include "cp/handlers/account_views.h"
#include "cp/session_cookies.h"

namespace wrenn::cp::handlers {

Task<> Me::get(Request& request, Reply& reply) {
  const auto& caller = caller_of(request);
  const auto profile = co_await services_.accounts.profile(caller);
  api::Me view;
  view.user_id = profile.user.id.text();
  view.name = profile.user.name;
  view.email = profile.user.email;
  view.has_password = profile.user.password_hash.has_value();
  view.providers = profile.providers;
  view.is_admin = profile.user.is_admin;
  view.team_id = caller.team.text();
  view.role = to_string(caller.role);
  co_await send_json(reply, 200, view);
}

Task<> Me::rename(Request& request, Reply& reply) {
  const auto body = read_json<api::NameOnly>(request);
  const auto& caller = caller_of(request);
  co_await services_.accounts.rename(caller, body.name);
  const auto profile = co_await services_.accounts.profile(caller);
  const service::SignedIn same{session_token_of(request), *caller.user, caller.team, profile.user.email,
                               profile.user.name};
  co_await send_json(reply, 200, auth_view(same));
}

Task<> Me::change_password(Request& request, Reply& reply) {
  auto body = read_json<api::ChangePassword>(request);
  const auto origin = client_origin(request, services_.config.trusted_proxies);
  co_await services_.accounts.change_password(caller_of(request), origin.address,
                                              std::move(body.current_password), std::move(body.new_password),
                                              std::move(body.confirm_password));
  co_await send_no_content(reply);
}

Task<> Me::disconnect(Request& request, Reply& reply) {
  co_await services_.accounts.disconnect(caller_of(request), request.params.find("provider")->second);
  co_await send_no_content(reply);
}

Task<> Me::remove(Request& request, Reply& reply) {
  auto body = read_json<api::Confirmation>(request);
  co_await services_.accounts.delete_account(caller_of(request), std::move(body.confirmation));
  clear_session_cookies(reply, client_origin(request, services_.config.trusted_proxies));
  co_await send_no_content(reply);
}

Task<> Me::search_users(Request& request, Reply& reply) {
  auto prefix = request.query_value("email").value_or("");
  const auto users = co_await services_.accounts.search(std::move(prefix));
  std::vector<api::FoundUser> view;
  for (const auto& user : users) view.push_back({user.id.text(), user.email});
  co_await send_json(reply, 200, view);
}

}  // namespace wrenn::cp::handlers
