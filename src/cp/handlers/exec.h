// POST /v1/capsules/{id}/exec: one command, answered when it has ended, or started in the background.
#pragma once

#include "api/public.h"
#include "cp/handlers/held_output.h"
#include "cp/limits.h"
#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Exec {
 public:
  explicit Exec(Services& services)
      : services_(services), held_(limits::kExecHeldBytes, limits::kExecHeldBytesOfTeam) {}
  Task<> exec(Request& request, Reply& reply);

 private:
  Task<> foreground(api::EnvdClient envd, model::TeamId team, std::string sandbox_id, api::Exec command,
                    Reply& reply);
  Task<> background(api::EnvdClient envd, std::string sandbox_id, api::Exec command, Reply& reply);

  Services& services_;
  HeldOutput held_;
};

// The command for the guest; its standard input is closed.
api::envd::StartRequest start_request(const api::Exec& command);

}  // namespace wrenn::cp::handlers
