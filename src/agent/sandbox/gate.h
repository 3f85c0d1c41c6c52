// Gate: lets requests into a running guest, knows how many are inside, and ends those that are still there
// when the guest is about to stand still.
#pragma once

#include <memory>
#include <string>

#include "agent/sandbox/activity.h"
#include "agent/sandbox/guest.h"
#include "core/async/event.h"

namespace wrenn::agent::sandbox {

class Gate {
 public:
  explicit Gate(async::Executor executor) : changed_(std::move(executor)) {}

  bool is_open() const noexcept { return open_; }
  int inside() const noexcept { return inside_; }
  // Nobody enters any more.
  void close() noexcept { open_ = false; }
  // Ends what is inside: wait_cut() returns everywhere. `why` is for the clients.
  void cut(std::string why);

  // False when `limit` passes before all have left.
  Task<bool> wait_empty(SteadyClock::duration limit);
  // Returns when cut; then why() says why.
  Task<> wait_cut();
  bool was_cut() const noexcept { return cut_; }
  const std::string& why() const noexcept { return why_; }

 private:
  friend class Passage;
  async::Event changed_;
  int inside_ = 0;
  bool open_ = true;
  bool cut_ = false;
  std::string why_;
};

// One request inside. Counts as activity of the sandbox from its beginning to its end, and whenever bytes
// move.
class Passage {
 public:
  Passage(std::shared_ptr<Gate> gate, std::shared_ptr<Activity> activity, std::shared_ptr<Guest> guest);
  ~Passage();
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  Gate& gate() noexcept { return *gate_; }
  Guest& guest() noexcept { return *guest_; }
  void touch() noexcept { activity_->touch(SteadyClock::now()); }

 private:
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<Activity> activity_;
  std::shared_ptr<Guest> guest_;
};

}  // namespace wrenn::agent::sandbox
