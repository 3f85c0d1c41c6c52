// GET /v1/snapshots: the templates that a team can use.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Templates {
 public:
  explicit Templates(Services& services) : services_(services) {}
  Task<> list(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
