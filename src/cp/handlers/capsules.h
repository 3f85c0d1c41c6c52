// /v1/capsules: create, list, get, destroy, pause, resume, ping (spec/rest-api.md §5).
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
  Task<> ping(Request& request, Reply& reply);

 private:
  // How long this request waits for a capsule to run; tells the client when it asked for a time of its own.
  std::chrono::milliseconds patience(const Request& request, Reply& reply) const;

  // With what its owner needs to reach it.
  api::Capsule detailed_view(const store::Sandbox& row) const;

  Services& services_;
  CapsuleTexts texts_;
};

}  // namespace wrenn::cp::handlers
