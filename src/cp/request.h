// What every handler needs of a request and for an answer.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/http/reply.h"
#include "core/json/fields.h"
#include "cp/config.h"
#include "cp/service/caller.h"
#include "cp/whole_body.h"

namespace wrenn::cp {

using async::Task;
using http::Reply;
using http::Request;

// Who asks; set by the middleware on every route that asks for a key.
const service::Caller& caller_of(const Request& request);

template <typename Kind>
constexpr std::string_view kind_name(const Id<Kind>*) noexcept {
  return Kind::kName;
}

// Throws Error(invalid_argument) "invalid team ID".
template <typename Id>
Id parse_id(std::string_view text) {
  const auto id = Id::parse(text);
  if (!id)
    throw_error(ErrorCode::invalid_argument, "invalid {} ID", kind_name(static_cast<const Id*>(nullptr)));
  return *id;
}
// Of a parameter of the path. Throws as parse_id().
template <typename Id>
Id path_id(const Request& request, std::string_view name) {
  const auto found = request.params.find(name);
  return parse_id<Id>(found == request.params.end() ? std::string_view() : std::string_view(found->second));
}

// The {id} of the path. Throws Error(invalid_argument) "invalid sandbox ID".
model::SandboxId sandbox_id_of(const Request& request);

// The token with which a user's request came: of the Authorization field, or of the cookie.
std::string session_token_of(const Request& request);

// How long a request waits for capsules to run; the answer tells so when the request asked for a time of its
// own.
std::chrono::milliseconds patience(const Config& config, const Request& request, Reply& reply);

// What comes as the body. Throws Error(too_large), PublicError request_timeout (408) when it takes longer than
// `within`.
Task<std::string> read_body(Request& request, std::uint64_t limit, std::chrono::milliseconds within);

// The same as a described struct; an empty body counts as {}. Throws Error(invalid_argument) that names the field.
template <typename T>
T read_json(const Request& request) {
  const auto& text = body_of(request);
  if (trim(text).empty()) return T{};
  return json::from_json<T>(text);
}

template <typename T>
Task<> send_json(Reply& reply, int status, const T& value) {
  auto response = http::json_response(status, json::to_json(value));
  co_await reply.send(std::move(response));
}

Task<> send_no_content(Reply& reply);

}  // namespace wrenn::cp
