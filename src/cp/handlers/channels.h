// /v1/channels: where teams are told of events, and what became of it (spec/rest-api.md §10).
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Channels {
 public:
  explicit Channels(Services& services) : services_(services) {}
  Task<> create(Request& request, Reply& reply);
  Task<> list(Request& request, Reply& reply);
  Task<> get(Request& request, Reply& reply);
  Task<> update(Request& request, Reply& reply);
  Task<> replace_config(Request& request, Reply& reply);
  Task<> remove(Request& request, Reply& reply);
  Task<> test(Request& request, Reply& reply);
  Task<> deliveries(Request& request, Reply& reply);
  Task<> redeliver(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
