// What needs no key: /health, /openapi.yaml, /metrics.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class System {
 public:
  explicit System(Services& services) : services_(services) {}
  Task<> health(Request& request, Reply& reply);
  Task<> openapi(Request& request, Reply& reply);
  Task<> prometheus(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
