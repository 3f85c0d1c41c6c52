#include "cp/oauth/github.h"

#include "core/base/codec.h"
#include "core/json/fields.h"

namespace wrenn::cp::oauth {

namespace {

// Answers of GitHub, as far as we look at them.
struct Token {
  std::string access_token, error, error_description;
  static constexpr auto kFields =
      json::fields(json::field("access_token", &Token::access_token), json::field("error", &Token::error),
                   json::field("error_description", &Token::error_description));
};
struct User {
  std::int64_t id = 0;
  std::string login, name;
  static constexpr auto kFields =
      json::fields(json::field("id", &User::id, json::kRequired), json::field("login", &User::login),
                   json::field("name", &User::name));
};
struct Email {
  std::string email;
  bool primary = false, verified = false;
  static constexpr auto kFields =
      json::fields(json::field("email", &Email::email), json::field("primary", &Email::primary),
                   json::field("verified", &Email::verified));
};

// What another service says is not our client's fault.
template <typename T>
T read_answer(const std::string& body) {
  try {
    return json::from_json<T>(body);
  } catch (const Error& error) {
    throw_error(ErrorCode::internal, "GitHub's answer makes no sense: {}", error.what());
  }
}

outbound::Request request_to(std::string method, std::string url) {
  outbound::Request request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "wrenn");
  request.policy = outbound::AddressPolicy::anywhere();  // the operator has chosen it
  return request;
}

}  // namespace

std::string Github::authorize_url(std::string_view state, std::string_view callback) const {
  return fmt::format("{}/login/oauth/authorize?client_id={}&redirect_uri={}&scope={}&state={}", settings_.url,
                     percent_encode(settings_.client_id), percent_encode(callback),
                     percent_encode("user:email"), percent_encode(state));
}

Task<std::string> Github::exchange(std::string code, std::string callback) {
  auto request = request_to("POST", settings_.url + "/login/oauth/access_token");
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  request.body = fmt::format(
      "client_id={}&client_secret={}&code={}&redirect_uri={}", percent_encode(settings_.client_id),
      percent_encode(settings_.client_secret.reveal()), percent_encode(code), percent_encode(callback));
  const auto answer = co_await client_.send(std::move(request));
  if (answer.status != 200)
    throw_error(ErrorCode::unavailable, "GitHub answered the exchange of a code with {}", answer.status);
  const auto token = read_answer<Token>(answer.body);
  if (token.access_token.empty())
    throw_error(ErrorCode::unauthenticated, "GitHub refuses the code: {} {}", token.error,
                token.error_description);
  co_return token.access_token;
}

Task<std::string> Github::ask(std::string path, std::string token) {
  auto request = request_to("GET", settings_.api_url + path);
  request.headers.set("Authorization", "Bearer " + token);
  auto answer = co_await client_.send(std::move(request));
  if (answer.status != 200)
    throw_error(ErrorCode::unavailable, "GitHub answered GET {} with {}", path, answer.status);
  co_return std::move(answer.body);
}

Task<Identity> Github::identify(std::string code, std::string callback) {
  const auto token = co_await exchange(std::move(code), std::move(callback));
  const auto user = read_answer<User>(co_await ask("/user", token));
  // The address in the profile is whatever its owner has written there; these are known to be his.
  const auto emails = read_answer<std::vector<Email>>(co_await ask("/user/emails", token));
  Identity identity;
  identity.id = std::to_string(user.id);
  identity.name = user.name.empty() ? user.login : user.name;
  for (const auto& one : emails)
    if (one.primary && one.verified) identity.email = one.email;
  co_return identity;
}

}  // namespace wrenn::cp::oauth
