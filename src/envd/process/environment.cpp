#include "envd/process/environment.h"

#include <cstdlib>

namespace wrenn::envd::process {

namespace {

void set(std::vector<std::string>& env, std::string_view name, std::string_view value) {
  std::string entry(name);
  entry += '=';
  for (std::string& existing : env) {
    if (!existing.starts_with(entry)) continue;
    existing = entry.append(value);
    return;
  }
  env.push_back(entry.append(value));
}

}  // namespace

std::vector<std::string> environment(std::string_view path, const User& user,
                                     const std::map<std::string, std::string>& defaults,
                                     const std::map<std::string, std::string>& request) {
  std::vector<std::string> env;
  env.reserve(4 + defaults.size() + request.size());
  set(env, "PATH", path);
  set(env, "HOME", user.home);
  set(env, "USER", user.name);
  set(env, "LOGNAME", user.name);
  for (const auto& [name, value] : defaults) set(env, name, value);
  for (const auto& [name, value] : request) set(env, name, value);
  return env;
}

void add_if_missing(std::vector<std::string>& env, std::string_view name, std::string_view value) {
  const std::string prefix = std::string(name) + "=";
  for (const std::string& existing : env)
    if (existing.starts_with(prefix)) return;
  env.push_back(prefix + std::string(value));
}

std::string_view own_path() noexcept {
  const char* path = std::getenv("PATH");
  return path != nullptr && *path != '\0' ? path
                                          : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

}  // namespace wrenn::envd::process
