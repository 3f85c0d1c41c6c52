// /v1/me: the account of who is signed in.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Me {
 public:
  explicit Me(Services& services) : services_(services) {}
  Task<> get(Request& request, Reply& reply);
  Task<> rename(Request& request, Reply& reply);
  Task<> change_password(Request& request, Reply& reply);
  Task<> disconnect(Request& request, Reply& reply);
  Task<> remove(Request& request, Reply& reply);
  Task<> search_users(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
