// /v1/capsules/{id}/checkpoints and …/rollback.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Checkpoints {
 public:
  explicit Checkpoints(Services& services) : services_(services) {}
  Task<> create(Request& request, Reply& reply);
  Task<> list(Request& request, Reply& reply);
  Task<> remove(Request& request, Reply& reply);
  Task<> rollback(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
