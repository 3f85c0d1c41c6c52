// /v1/api-keys.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class ApiKeys {
 public:
  explicit ApiKeys(Services& services) : services_(services) {}
  Task<> list(Request& request, Reply& reply);
  Task<> create(Request& request, Reply& reply);
  Task<> revoke(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
