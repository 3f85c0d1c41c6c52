// /v1/audit-logs and /v1/admin/audit-logs.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class AuditLogs {
 public:
  explicit AuditLogs(Services& services) : services_(services) {}
  Task<> list(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
