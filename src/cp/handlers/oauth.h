// /auth/oauth/…: the browser's way to a provider and back. Answers are redirects.
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Oauth {
 public:
  explicit Oauth(Services& services) : services_(services) {}
  Task<> begin(Request& request, Reply& reply);
  Task<> callback(Request& request, Reply& reply);
  Task<> connect(Request& request, Reply& reply);  // of /v1/me/providers/{provider}

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
