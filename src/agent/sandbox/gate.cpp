#include "agent/sandbox/gate.h"

namespace wrenn::agent::sandbox {

void Gate::cut(std::string why) {
  if (cut_) return;
  open_ = false;
  cut_ = true;
  why_ = std::move(why);
  changed_.notify_all();
}

Task<bool> Gate::wait_empty(SteadyClock::duration limit) {
  const SteadyTime until = SteadyClock::now() + limit;
  while (inside_ > 0) {
    const auto left = until - SteadyClock::now();
    if (left <= SteadyClock::duration::zero()) co_return false;
    co_await changed_.wait_for(left);
  }
  co_return true;
}

Task<> Gate::wait_cut() {
  while (!cut_) co_await changed_.wait();
}

Passage::Passage(std::shared_ptr<Gate> gate, std::shared_ptr<Activity> activity, std::shared_ptr<Guest> guest)
    : gate_(std::move(gate)), activity_(std::move(activity)), guest_(std::move(guest)) {
  ++gate_->inside_;
  activity_->begin(SteadyClock::now());
}

Passage::~Passage() {
  --gate_->inside_;
  activity_->end(SteadyClock::now());
  gate_->changed_.notify_all();
}

}  // namespace wrenn::agent::sandbox
