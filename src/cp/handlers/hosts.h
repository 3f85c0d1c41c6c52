// /v1/hosts: the machines that run capsules, to be looked at.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Hosts {
 public:
  explicit Hosts(Services& services) : services_(services) {}
  Task<> list(Request& request, Reply& reply);
  Task<> get(Request& request, Reply& reply);
  Task<> metrics(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
