// /v1/admin: users and teams of the platform.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Admin {
 public:
  explicit Admin(Services& services) : services_(services) {}
  Task<> teams(Request& request, Reply& reply);
  Task<> set_byoc(Request& request, Reply& reply);
  Task<> remove_team(Request& request, Reply& reply);
  Task<> users(Request& request, Reply& reply);
  Task<> set_active(Request& request, Reply& reply);
  Task<> set_admin(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
