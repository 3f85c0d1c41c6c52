#include "envd/process/output_log.h"

#include <algorithm>

#include "core/base/check.h"

namespace wrenn::envd::process {

OutputLog::Handle OutputLog::subscribe(std::function<void()> wake) {
  return subscribers_.insert(subscribers_.end(), Subscriber{first_ + chunks_.size(), std::move(wake)});
}

void OutputLog::unsubscribe(Handle subscriber) {
  subscribers_.erase(subscriber);
  drop_read();
}

void OutputLog::append(Channel channel, std::string_view data) {
  WRENN_CHECK(!finished_ && !data.empty());
  if (subscribers_.empty()) return;
  chunks_.push_back(Chunk{channel, std::string(data)});
  held_bytes_ += data.size();
  for (const Subscriber& subscriber : subscribers_) subscriber.wake();
}

void OutputLog::finish() {
  finished_ = true;
  for (const Subscriber& subscriber : subscribers_) subscriber.wake();
}

const Chunk* OutputLog::peek(Handle subscriber) const noexcept {
  const auto index = subscriber->next - first_;
  return index < chunks_.size() ? &chunks_[index] : nullptr;
}

void OutputLog::advance(Handle subscriber) {
  WRENN_CHECK(subscriber->next - first_ < chunks_.size());
  ++subscriber->next;
  drop_read();
}

void OutputLog::drop_read() {
  std::uint64_t slowest = first_ + chunks_.size();
  for (const Subscriber& subscriber : subscribers_) slowest = std::min(slowest, subscriber.next);
  const bool was_full = !room();
  for (; first_ < slowest; ++first_) {
    held_bytes_ -= chunks_.front().data.size();
    chunks_.pop_front();
  }
  if (was_full && room()) on_room_();
}

}  // namespace wrenn::envd::process
