// A host is heard of, or no more: told to the platform team, whose host it is.
#pragma once

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::service {

enum class HostNews { up, down };

// In the transaction that changes the host's status: the event and the entry of the audit log. Throws what the
// database throws.
void tell_of_host(db::Connection& connection, HostNews news, const model::HostId& host, UnixTime at);

}  // namespace wrenn::cp::service
