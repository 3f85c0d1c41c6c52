// What the parts of Assembly share among themselves.
#pragma once

#include "agent/sandbox/assembly.h"
#include "core/base/clock.h"
#include "core/base/crash_point.h"
#include "core/log/log.h"

namespace wrenn::agent::sandbox {

// One named step of an operation: its duration goes into the figures and the debug log when it succeeds. Its
// beginning and its end are crash points.
class Assembly::Stage {
 public:
  Stage(Assembly& assembly, std::string_view name) : assembly_(assembly), name_(name) {
    crash_point(name_, ".begin");
  }
  void done() {
    crash_point(name_, ".end");
    const auto took = SteadyClock::now() - start_;
    assembly_.host_.figures.stage(name_, took);
    log::debug("stage", {{"sandbox_id", assembly_.record_.sandbox_id},
                         {"stage", name_},
                         {"ms", std::chrono::duration<double, std::milli>(took).count()}});
  }

 private:
  Assembly& assembly_;
  std::string_view name_;
  SteadyTime start_ = SteadyClock::now();
};

// Keeps the first failure and lets the caller go on.
Task<> attempt(Task<> task, std::exception_ptr& first);
void log_failure(std::string_view what, const std::string& sandbox_id, std::exception_ptr error);

}  // namespace wrenn::agent::sandbox
