#include "cp/handlers/auth.h"

#include "api/accounts.h"
#include "cp/handlers/account_views.h"
#include "cp/session_cookies.h"

namespace wrenn::cp::handlers {

Task<> Auth::sign_up(Request& request, Reply& reply) {
  auto body = read_json<api::SignUp>(request);
  const auto origin = client_origin(request, services_.config.trusted_proxies);
  co_await services_.accounts.sign_up(origin.address, std::move(body.email), std::move(body.password),
                                      std::move(body.name));
  const api::Message answer{"Check your mail: the link in it activates your account."};
  co_await send_json(reply, 201, answer);
}

static Task<> send_signed_in(Reply& reply, service::SignedIn signed_in, ClientOrigin origin) {
  set_session_cookies(reply, signed_in.token, origin);
  co_await send_json(reply, 200, auth_view(signed_in));
}

Task<> Auth::log_in(Request& request, Reply& reply) {
  services_.authenticator.refuse_foreign_page(request);
  auto body = read_json<api::LogIn>(request);
  auto origin = client_origin(request, services_.config.trusted_proxies);
  auto signed_in =
      co_await services_.accounts.log_in(origin.address, std::move(body.email), std::move(body.password));
  co_await send_signed_in(reply, std::move(signed_in), std::move(origin));
}

Task<> Auth::activate(Request& request, Reply& reply) {
  services_.authenticator.refuse_foreign_page(request);
  auto body = read_json<api::OneToken>(request);
  auto origin = client_origin(request, services_.config.trusted_proxies);
  auto signed_in = co_await services_.accounts.activate(origin.address, std::move(body.token));
  co_await send_signed_in(reply, std::move(signed_in), std::move(origin));
}

Task<> Auth::request_reset(Request& request, Reply& reply) {
  auto body = read_json<api::RequestReset>(request);
  const auto origin = client_origin(request, services_.config.trusted_proxies);
  co_await services_.accounts.request_reset(origin.address, std::move(body.email));
  co_await send_no_content(reply);
}

Task<> Auth::confirm_reset(Request& request, Reply& reply) {
  auto body = read_json<api::ConfirmReset>(request);
  const auto origin = client_origin(request, services_.config.trusted_proxies);
  co_await services_.accounts.confirm_reset(origin.address, std::move(body.token),
                                            std::move(body.new_password));
  co_await send_no_content(reply);
}

Task<> Auth::log_out(Request& request, Reply& reply) {
  co_await services_.accounts.log_out(caller_of(request));
  clear_session_cookies(reply, client_origin(request, services_.config.trusted_proxies));
  co_await send_no_content(reply);
}

Task<> Auth::switch_team(Request& request, Reply& reply) {
  const auto body = read_json<api::SwitchTeam>(request);
  const auto team = parse_id<model::TeamId>(body.team_id);
  auto signed_in = co_await services_.accounts.switch_team(caller_of(request), team);
  signed_in.token = session_token_of(request);  // the same session, in another team
  co_await send_json(reply, 200, auth_view(signed_in));
}

}  // namespace wrenn::cp::handlers
