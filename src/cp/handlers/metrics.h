// GET /v1/capsules/{id}/metrics, and what all routes of metrics share.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

// ?range=; 10m if it is absent. Throws Error(invalid_argument).
std::string metrics_range_of(const Request& request);

class CapsuleMetrics {
 public:
  explicit CapsuleMetrics(Services& services) : services_(services) {}
  Task<> get(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
