// GET /v1/capsules/{id}/metrics.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class CapsuleMetrics {
 public:
  explicit CapsuleMetrics(Services& services) : services_(services) {}
  Task<> get(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
