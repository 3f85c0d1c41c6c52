// GET /v1/events/stream: what happens to a team's things, as server-sent events (spec/rest-api.md §14).
// GET /v1/admin/events/stream: what happens to anybody's: pages of the platform show hosts, templates and
// numbers of all teams.
#pragma once

#include "cp/event_feed.h"
#include "cp/request.h"
#include "cp/services.h"

namespace wrenn::cp::handlers {

class Events {
 public:
  explicit Events(Services& services) : services_(services) {}
  Task<> stream(Request& request, Reply& reply);
  Task<> stream_all(Request& request, Reply& reply);

 private:
  Task<> serve(Request& request, Reply& reply, std::string team);
  Task<> write(http::BodyWriter& writer, EventFeed::Listener& listener, std::string team, std::int64_t after);
  Services& services_;
};

}  // namespace wrenn::cp::handlers
