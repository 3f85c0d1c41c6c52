// Every route of the API, in one table.
#pragma once

#include <memory>

#include "core/http/router.h"
#include "cp/services.h"

namespace wrenn::cp {

// The handlers and the router that leads to them. `services` must outlive it.
class Routes {
 public:
  explicit Routes(Services& services);
  ~Routes();
  const http::Router& router() const noexcept { return router_; }

 private:
  struct Handlers;
  std::unique_ptr<Handlers> handlers_;
  http::Router router_;
};

}  // namespace wrenn::cp
