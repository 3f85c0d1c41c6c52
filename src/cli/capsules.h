// Capsules as the commands see them.
#pragma once

#include <optional>
#include <string>

#include "cli/endpoint.h"

namespace wrenn::cli {

struct CreateOptions {
  std::string template_name;  // empty: the server's default
  int vcpus = 0;              // 0: the server's default
  int memory_mb = 0;          // MiB; 0: the server's default
  long timeout_sec = 0;       // inactivity until auto-pause; 0: never
  std::string boot;           // auto or cold; empty: the server's default
};
// The body of POST /v1/capsules.
std::string create_body(const CreateOptions& options);

// Creates a capsule and returns its JSON once it runs. Throws Error when it does not start.
json::Value create_capsule(Api& api, const CreateOptions& options);

// Asks until a capsule that was answered as starting runs, and returns it then. Throws Error when it does not start.
json::Value until_running(Api& api, json::Value capsule);
// A POST whose answer may take as long as a server waits at most for capsules to run.
json::Value post_and_wait(Api& api, const std::string& target, const std::string& body);

// The target of a capsule's route, e.g. capsule_target(id, "/pause"). Throws Error(invalid_argument) on an id that is none.
std::string capsule_target(const std::string& id, std::string_view route = "");

}  // namespace wrenn::cli
