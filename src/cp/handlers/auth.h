// /v1/auth/… and /v1/me/password/reset…: what is open to everybody, and the session.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Auth {
 public:
  explicit Auth(Services& services) : services_(services) {}
  Task<> sign_up(Request& request, Reply& reply);
  Task<> log_in(Request& request, Reply& reply);
  Task<> activate(Request& request, Reply& reply);
  Task<> request_reset(Request& request, Reply& reply);
  Task<> confirm_reset(Request& request, Reply& reply);

  Task<> log_out(Request& request, Reply& reply);
  Task<> switch_team(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
