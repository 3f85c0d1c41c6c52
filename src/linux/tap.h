// TAP interfaces: the host's end of a guest's network card.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "linux/fd.h"

namespace wrenn::sys {

struct TapOptions {
  std::optional<uid_t> owner;  // this user may open it; absent: whoever has CAP_NET_ADMIN
  bool persistent = false;     // stays when the last descriptor closes
  bool vnet_header = true;     // offloads: a VMM's virtio-net wants it
  bool non_blocking = true;
};

// Creates, or opens when it exists and is persistent, the TAP `name` in the namespace of the calling thread:
// call it inside run_in_netns(). The descriptor carries the frames; pass it to the VMM. The interface is
// still down. Throws SystemError; EBUSY when somebody else has it open, and keeps it for a second.
Fd open_tap(const std::string& name, const TapOptions& options);

}  // namespace wrenn::sys
