// /v1/capsules/{id}/processes: list and kill.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Processes {
 public:
  explicit Processes(Services& services) : services_(services) {}
  Task<> list(Request& request, Reply& reply);
  Task<> kill(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
