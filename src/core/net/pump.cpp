#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/net/stream.h"
#include "core/net/transfer_buffer.h"

namespace wrenn::net {

static Task<> pump_one_way(Stream& from, Stream& to, std::string initial, int& open_ways,
                           const std::function<void()>& on_bytes) {
  if (!initial.empty()) {
    if (on_bytes) on_bytes();
    co_await to.write(initial);
  }
  TransferBuffer buffer;
  for (;;) {
    const std::string_view data = buffer.took(co_await from.read_some(buffer.space()));
    if (data.empty()) break;
    if (on_bytes) on_bytes();
    co_await to.write(data);
  }
  // A peer that leaves before the other direction has ended has broken off, and `to` shall not take that for
  // an end.
  if (--open_ways > 0 && from.is_hung_up())
    throw Error(ErrorCode::unavailable, "the peer closed the connection before the other side had ended");
  // `to` hears no more from this side, and `from` no longer speaks: the other direction is all that is left,
  // and a peer that neither ends it nor moves it must not hold the connection for ever.
  to.shutdown_write();
  from.set_stall_limit(limits::kPumpHalfOpenTimeout);
  to.set_stall_limit(limits::kPumpHalfOpenTimeout);
}

Task<> pump(Stream& a, Stream& b, std::string initial_from_a, std::string initial_from_b,
            std::function<void()> on_bytes) {
  int open_ways = 2;
  auto there = pump_one_way(a, b, std::move(initial_from_a), open_ways, on_bytes);
  auto back = pump_one_way(b, a, std::move(initial_from_b), open_ways, on_bytes);
  co_await async::both(std::move(there), std::move(back));
}

}  // namespace wrenn::net
