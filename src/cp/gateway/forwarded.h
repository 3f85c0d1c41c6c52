// What the control plane changes in the head of a request that goes to a guest.
#pragma once

#include "core/http/proxy.h"

namespace wrenn::cp::gateway {

// Sets in `options` what is to be set and dropped:
//   - keys of this platform (X-API-Key, Authorization: Bearer) are dropped: SDKs send them along, and a guest
//     is a stranger. Other values of these fields are between the client and its program.
//   - X-Forwarded-For, -Host, -Proto and Via tell what the guest cannot see. Only a peer on this machine (a
//     TLS terminator) is believed what it tells of them; what others claim is dropped.
void set_forwarded_fields(http::ProxyOptions& options, const http::Request& request);

}  // namespace wrenn::cp::gateway
