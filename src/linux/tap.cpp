#include "linux/tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "core/base/clock.h"
#include "core/base/error.h"

namespace wrenn::sys {

static constexpr auto kBusyPatience = std::chrono::milliseconds(1000);
static constexpr auto kBusyPause = std::chrono::milliseconds(2);

Fd open_tap(const std::string& name, const TapOptions& options) {
  if (name.empty() || name.size() >= IFNAMSIZ)
    throw_error(ErrorCode::invalid_argument, "\"{}\" is no name for a TAP: 1 to {} bytes", name,
                IFNAMSIZ - 1);
  Fd tap = open_file("/dev/net/tun", O_RDWR | (options.non_blocking ? O_NONBLOCK : 0));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (options.vnet_header ? IFF_VNET_HDR : 0));
  // A process that is being started somewhere in this program has copies of all our descriptors until it runs
  // its own program: one of this TAP that was closed just now may live that long.
  const SteadyTime deadline = SteadyClock::now() + kBusyPatience;
  while (::ioctl(tap.get(), TUNSETIFF, &request) < 0) {
    if (errno != EBUSY || SteadyClock::now() >= deadline) throw_errno("open TAP {}", name);
    std::this_thread::sleep_for(kBusyPause);
  }
  if (options.owner && ::ioctl(tap.get(), TUNSETOWNER, static_cast<unsigned long>(*options.owner)) < 0)
    throw_errno("give TAP {} to user {}", name, *options.owner);
  if (::ioctl(tap.get(), TUNSETPERSIST, options.persistent ? 1UL : 0UL) < 0)
    throw_errno("set the persistence of TAP {}", name);
  return tap;
}

}  // namespace wrenn::sys
