// What needs no key: /health, /healthz, /readyz, /openapi.yaml, /docs, /metrics.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class System {
 public:
  explicit System(Services& services) : services_(services) {}
  Task<> health(Request& request, Reply& reply);
  Task<> ready(Request& request, Reply& reply);
  Task<> openapi(Request& request, Reply& reply);
  Task<> docs(Request& request, Reply& reply);
  Task<> prometheus(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
