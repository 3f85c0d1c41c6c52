// What the team has and has used: /v1/capsules/stats, /v1/capsules/usage.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class TeamUsage {
 public:
  explicit TeamUsage(Services& services) : services_(services) {}
  Task<> stats(Request& request, Reply& reply);
  Task<> usage(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
