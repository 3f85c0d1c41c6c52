#include "cp/handlers/oauth.h"

#include "api/accounts.h"
#include "api/errors.h"
#include "core/base/codec.h"
#include "core/http/cookies.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/session_cookies.h"

namespace wrenn::cp::handlers {

using service::Intent;

static constexpr std::string_view kStateCookie = "oauth_state", kNewSignupCookie = "wrenn_oauth_new_signup";

static std::string provider_of(const Request& request) {
  return request.params.find("provider")->second;
}

static void set_state_cookie(Reply& reply, std::string_view state, const ClientOrigin& origin) {
  http::SetCookie cookie;
  cookie.name = kStateCookie;
  cookie.value = state;
  cookie.max_age = state.empty() ? std::chrono::seconds(0) : std::chrono::seconds(limits::kOauthLife);
  cookie.secure = origin.https;
  reply.headers.add("Set-Cookie", http::render(cookie));
}

static Task<> redirect(Reply& reply, std::string url) {
  http::Response response;
  response.status = 302;
  response.headers.set("Location", url);
  response.headers.set("Cache-Control", "no-store");
  co_await reply.send(std::move(response));
}

Task<> Oauth::begin(Request& request, Reply& reply) {
  const auto intent = request.query_value("intent") == "signup" ? Intent::signup : Intent::login;
  const auto begun = co_await services_.oauth_sign_in.begin(provider_of(request), intent, std::nullopt);
  set_state_cookie(reply, begun.state, client_origin(request, services_.config.trusted_proxies));
  co_await redirect(reply, begun.url);
}

Task<> Oauth::connect(Request& request, Reply& reply) {
  const auto begun =
      co_await services_.oauth_sign_in.begin(provider_of(request), Intent::link, caller_of(request).user);
  set_state_cookie(reply, begun.state, client_origin(request, services_.config.trusted_proxies));
  const api::AuthUrl view{begun.url};
  co_await send_json(reply, 200, view);
}

// Where the dashboard takes over.
static std::string landing(const std::string& app_url, const std::string& provider,
                           const service::OauthSignIn::Ended& ended) {
  if (ended.intent == Intent::link)
    return ended.error.empty()
               ? fmt::format("{}/dashboard/settings?connected={}", app_url, percent_encode(provider))
               : fmt::format("{}/dashboard/settings?connect_error={}", app_url, percent_encode(ended.error));
  const auto page = fmt::format("{}/auth/{}/callback", app_url, percent_encode(provider));
  return ended.error.empty() ? page : fmt::format("{}?error={}", page, percent_encode(ended.error));
}

Task<> Oauth::callback(Request& request, Reply& reply) {
  const auto provider = provider_of(request);
  const auto origin = client_origin(request, services_.config.trusted_proxies);
  service::OauthSignIn::Ended ended;
  if (request.query_value("error")) {
    ended.error = "access_denied";
  } else {
    auto state = request.query_value("state").value_or("");
    auto code = request.query_value("code").value_or("");
    std::string cookie(http::cookie(request.headers, kStateCookie).value_or(""));
    std::exception_ptr failure;
    try {
      ended = co_await services_.oauth_sign_in.finish(provider, std::move(state), std::move(cookie),
                                                      std::move(code));
    } catch (const api::PublicError&) {
      throw;  // no such provider
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      if (async::is_cancellation(failure)) std::rethrow_exception(failure);
      log::error("a sign-in with a provider failed",
                 {{"provider", provider}, {"error", wrenn::describe(failure)}});
      ended.error = "internal_error";
    }
  }
  set_state_cookie(reply, "", origin);
  if (ended.signed_in) set_session_cookies(reply, ended.signed_in->token, origin);
  if (ended.new_account) {
    http::SetCookie cookie;
    cookie.name = kNewSignupCookie;
    cookie.value = "1";
    cookie.path = "/auth/";
    cookie.max_age = std::chrono::seconds(60);
    cookie.http_only = false;  // the page asks for the name then
    cookie.secure = origin.https;
    reply.headers.add("Set-Cookie", http::render(cookie));
  }
  co_await redirect(reply, landing(services_.config.app_url, provider, ended));
}

}  // namespace wrenn::cp::handlers
