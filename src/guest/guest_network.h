// The fixed network of a capsule. Every guest has the same addresses in a network namespace of its own, so
// that a clone of a running guest needs no re-addressing.
#pragma once

namespace wrenn::guest {

// Brings up lo, and eth0 with 169.254.0.21/30 and a default route by 169.254.0.22. Does what is missing only;
// without an eth0 the guest simply has no network. Throws SystemError.
void configure_network();

}  // namespace wrenn::guest
