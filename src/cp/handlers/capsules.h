// /v1/capsules: create, list, get, destroy, pause, resume, fork, ping (spec/rest-api.md §5).
#pragma once

#include "api/public.h"
#include "cp/handlers/capsule_texts.h"
#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Capsules {
 public:
  explicit Capsules(Services& services) : services_(services), texts_(services.database) {}

  Task<> create(Request& request, Reply& reply);
  Task<> list(Request& request, Reply& reply);
  Task<> get(Request& request, Reply& reply);
  Task<> destroy(Request& request, Reply& reply);
  Task<> pause(Request& request, Reply& reply);
  Task<> resume(Request& request, Reply& reply);
  Task<> fork(Request& request, Reply& reply);
  Task<> ping(Request& request, Reply& reply);

 private:
  Services& services_;
  CapsuleTexts texts_;
};

}  // namespace wrenn::cp::handlers
