// /v1/capsules/{id}/files/…: bytes in and out of the guest, and its directories (spec/rest-api.md §7).
#pragma once

#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Files {
 public:
  explicit Files(Services& services) : services_(services) {}

  Task<> write(Request& request, Reply& reply);
  Task<> stream_write(Request& request, Reply& reply);
  Task<> read(Request& request, Reply& reply);  // also files/stream/read: both stream, both answer 404 first
  Task<> list(Request& request, Reply& reply);
  Task<> make_dir(Request& request, Reply& reply);
  Task<> remove(Request& request, Reply& reply);

 private:
  Services& services_;
};

}  // namespace wrenn::cp::handlers
