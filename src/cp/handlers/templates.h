// /v1/snapshots: the templates that a team can use, and those it makes of its capsules (spec/rest-api.md §8).
// /v1/admin/templates and …/capsules/{id}/snapshot: those of all teams, and the platform's (§12).
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Templates {
 public:
  explicit Templates(Services& services) : services_(services) {}
  Task<> list(Request& request, Reply& reply);
  Task<> create(Request& request, Reply& reply);
  Task<> remove(Request& request, Reply& reply);
  Task<> list_all(Request& request, Reply& reply);
  // Of a capsule, which is destroyed then; replaces the one of that name.
  Task<> turn_into(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
