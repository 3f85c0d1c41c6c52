// /v1/snapshots: the templates that a team can use, and those it makes of its capsules (spec/rest-api.md §8).
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

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
