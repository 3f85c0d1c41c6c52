#include "cp/worker/host_watch.h"

#include "api/limits.h"
#include "core/log/log.h"
#include "cp/limits.h"

namespace wrenn::cp::worker {

Task<> HostWatch::run() {
  api::agent::ChangesRequest request;  // without an epoch: answered at once
  request.wait_ms = api::limits::kAgentChanges.count();
  bool failing = false;
  for (;;) {
    auto pause = limits::kChangesPause;
    std::exception_ptr failure;
    try {
      auto answer = co_await host_.agent.wait_for_changes(request);
      const bool changed = answer.epoch != request.epoch || answer.revision != request.revision;
      request.epoch = std::move(answer.epoch);
      request.revision = answer.revision;
      failing = false;
      if (changed) on_change_();
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      if (async::is_cancellation(failure)) co_return;
      if (!std::exchange(failing, true))
        log::debug("no news of a host; its periodic comparison goes on",
                   {{"host", host_.host.id.text()}, {"error", wrenn::describe(failure)}});
      pause =
          code_of(failure) == ErrorCode::unimplemented ? limits::kChangesRetryUnknown : limits::kChangesRetry;
    }
    co_await async::sleep(pause);
  }
}

}  // namespace wrenn::cp::worker
