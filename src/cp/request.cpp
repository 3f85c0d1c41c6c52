#include "cp/request.h"

#include "api/errors.h"
#include "core/async/timeout.h"
#include "core/base/check.h"
#include "core/http/cookies.h"
#include "cp/authenticator.h"
#include "cp/service/admission.h"

namespace wrenn::cp {

const service::Caller& caller_of(const Request& request) {
  const auto* caller = std::any_cast<service::Caller>(&request.context);
  WRENN_CHECK(caller != nullptr);  // a route that was added without a key but asks who is there
  return *caller;
}

model::SandboxId sandbox_id_of(const Request& request) {
  return path_id<model::SandboxId>(request, "id");
}

std::string session_token_of(const Request& request) {
  if (const auto field = request.headers.get("Authorization")) {
    const auto space = field->find(' ');
    return std::string(trim(space == std::string_view::npos ? std::string_view() : field->substr(space)));
  }
  return std::string(http::cookie(request.headers, kSessionCookie).value_or(""));
}

std::chrono::milliseconds patience(const Config& config, const Request& request, Reply& reply) {
  const auto prefer = request.headers.get("Prefer");
  const auto asked = prefer ? service::parse_prefer_wait(*prefer) : std::nullopt;
  if (!asked) return config.answer_within;
  reply.headers.set("Preference-Applied", fmt::format("wait={}", asked->count()));
  return *asked;
}

Task<std::string> read_body(Request& request, std::uint64_t limit, std::chrono::milliseconds within) {
  auto reading = request.body->read_all(limit);
  try {
    co_return co_await async::with_timeout(within, "the body of the request", std::move(reading));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::deadline_exceeded) throw;
  }
  throw api::PublicError(ErrorCode::deadline_exceeded, 408, "request_timeout",
                         fmt::format("the body of the request was not complete within {} ms", within.count()));
}

Task<> send_no_content(Reply& reply) {
  http::Response response;
  response.status = 204;
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::cp
