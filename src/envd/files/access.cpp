#include "envd/files/access.h"

#include <ctime>

#include "api/envd.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/crypto/hash.h"

namespace wrenn::envd::files {

namespace {

[[noreturn]] void refuse(std::string_view why) {
  throw Error(ErrorCode::unauthenticated, std::string(why));
}

std::optional<std::int64_t> expiration_of(const http::Request& request) {
  const auto text = request.query_value("signature_expiration");
  if (!text) return std::nullopt;
  const auto seconds = parse_int<std::int64_t>(*text);
  if (!seconds)
    throw_error(ErrorCode::invalid_argument, "signature_expiration: must be a time in Unix seconds");
  return seconds;
}

// The signature before the expiration: who cannot sign is told nothing about times.
void check_signature(const http::Request& request, Operation operation, const AccessToken& token,
                     const std::string& user, const Defaults& defaults) {
  const auto given = request.query_value("signature");
  if (!given) refuse("missing signature query parameter");
  const auto expiration = expiration_of(request);
  const std::string path = request.query_value("path").value_or("");
  const auto is_of = [&](const std::string& name) {
    return constant_time_equal(*given, signature_of(path, operation, name, token.reveal(), expiration));
  };
  // Who names no user means the default one: E2B's clients sign "" then, wrenn's the name.
  if (!is_of(user) && !(user.empty() && is_of(defaults.user))) refuse("invalid signature");
  if (expiration && *expiration < std::time(nullptr)) refuse("signature is already expired");
}

}  // namespace

std::string signature_of(std::string_view path, Operation operation, std::string_view user,
                         std::string_view token, std::optional<std::int64_t> expiration) {
  std::string text =
      fmt::format("{}:{}:{}:{}", path, operation == Operation::read ? "read" : "write", user, token);
  if (expiration) text += fmt::format(":{}", *expiration);
  const Secret signed_text(std::move(text));  // it holds the token
  return "v1_" + base64_encode_unpadded(crypto::sha256(signed_text.reveal()));
}

User authorize(const http::Request& request, Operation operation, const AccessToken& token,
               const Defaults& defaults) {
  const auto name = request.query_value("username");
  if (token.is_set() && !request.headers.has(api::envd::kTokenHeader)) {
    check_signature(request, operation, token, name.value_or(""), defaults);
    return find_user(name && !name->empty() ? *name : defaults.user);
  }
  if (!token.admits(request)) refuse("the access token of the X-Access-Token field is not the right one");
  return user_of(request, defaults, name);
}

}  // namespace wrenn::envd::files
