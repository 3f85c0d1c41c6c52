// /v1/teams: teams and their members.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Teams {
 public:
  explicit Teams(Services& services) : services_(services) {}
  Task<> list(Request& request, Reply& reply);
  Task<> create(Request& request, Reply& reply);
  Task<> get(Request& request, Reply& reply);
  Task<> rename(Request& request, Reply& reply);
  Task<> remove(Request& request, Reply& reply);
  Task<> members(Request& request, Reply& reply);
  Task<> add_member(Request& request, Reply& reply);
  Task<> set_role(Request& request, Reply& reply);
  Task<> remove_member(Request& request, Reply& reply);
  Task<> leave(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
