#include "cp/service/host_news.h"

#include "cp/service/audit.h"
#include "cp/store/event_log.h"

namespace wrenn::cp::service {

void tell_of_host(db::Connection& connection, HostNews news, const model::HostId& host, UnixTime at) {
  const bool up = news == HostNews::up;
  model::Event event;
  event.type = up ? model::event::kHostUp : model::event::kHostDown;
  event.at = at;
  event.team = model::kPlatformTeam;
  event.resource_type = "host";
  event.resource_id = host.text();
  event.position = at.us;
  store::publish(connection, event);
  audit::Action entry{"host", up ? "marked_up" : "marked_down"};
  if (!up) entry.status = "error";
  audit::write(connection, entry, event.team, event.actor, event.resource_id);
}

}  // namespace wrenn::cp::service
