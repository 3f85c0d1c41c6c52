#include "envd/defaults.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"

namespace wrenn::envd {

void check_env(const std::map<std::string, std::string>& env) {
  if (env.size() > limits::kEnvVariables)
    throw_error(ErrorCode::invalid_argument, "{} environment variables: at most {} are accepted", env.size(),
                limits::kEnvVariables);
  for (const auto& [name, value] : env) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos)
      throw_error(ErrorCode::invalid_argument,
                  "environment variable '{}': a name must not be empty nor hold '=' or a NUL byte",
                  sanitize_utf8(name));
    if (value.find('\0') != std::string::npos)
      throw_error(ErrorCode::invalid_argument, "environment variable '{}': the value holds a NUL byte",
                  sanitize_utf8(name));
  }
}

User user_of(const http::Request& request, const Defaults& defaults, std::optional<std::string> name) {
  if (!name || name->empty()) name = basic_user(request.headers.get("Authorization"));
  return find_user(name ? *name : defaults.user);
}

}  // namespace wrenn::envd
