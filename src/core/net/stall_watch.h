// StallWatch: the one coarse clock of all streams of a loop. It counts ticks of one second and shows each to
// every stream, so that a stream keeps its limits by comparing two integers instead of arming a timer for
// each operation.
#pragma once

#include <cstdint>
#include <optional>

#include "core/async/task.h"

namespace wrenn::net {

class StallWatch final : public asio::execution_context::service {
 public:
  using Tick = std::uint64_t;
  static constexpr std::chrono::seconds kPeriod{1};

  // Something that wants every tick. Adding and removing costs a few pointers.
  class Entry {
   public:
    virtual void on_tick(Tick now) noexcept = 0;

   protected:
    ~Entry() = default;

   private:
    friend class StallWatch;
    Entry* previous_ = nullptr;
    Entry* next_ = nullptr;
  };

  static asio::execution_context::id id;
  explicit StallWatch(asio::execution_context& context) : asio::execution_context::service(context) {}
  // The watch of the loop behind `executor`.
  static StallWatch& of(const async::Executor& executor);

  // The clock runs while there are entries, so it does not keep a loop without streams alive.
  void add(Entry& entry, const async::Executor& executor);
  void remove(Entry& entry) noexcept;
  Tick now() const noexcept { return now_; }

 private:
  void shutdown() override;
  void arm();

  Tick now_ = 1;
  Entry* first_ = nullptr;
  std::optional<asio::steady_timer> timer_;
};

}  // namespace wrenn::net
