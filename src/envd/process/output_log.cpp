#include "envd/process/output_log.h"

#include <algorithm>

#include "core/base/check.h"

namespace wrenn::envd::process {

OutputLog::Handle OutputLog::subscribe(std::uint64_t position, std::function<void()> wake) {
  WRENN_CHECK(position >= oldest() && position <= end_);
  return subscribers_.insert(subscribers_.end(), Subscriber{position, std::move(wake)});
}

void OutputLog::unsubscribe(Handle subscriber) {
  const bool was_full = !room();
  subscribers_.erase(subscriber);
  drop_old(was_full);
}

void OutputLog::append(Channel channel, std::string_view data) {
  WRENN_CHECK(!finished_ && !data.empty());
  chunks_.push_back(Chunk{channel, end_, std::string(data)});
  end_ += data.size();
  if (subscribers_.empty()) drop_old(false);
  for (const Subscriber& subscriber : subscribers_) subscriber.wake();
}

void OutputLog::finish() {
  finished_ = true;
  for (const Subscriber& subscriber : subscribers_) subscriber.wake();
}

const Chunk* OutputLog::chunk_at(std::uint64_t position) const noexcept {
  if (position >= end_) return nullptr;
  const auto after =
      std::upper_bound(chunks_.begin(), chunks_.end(), position,
                       [](std::uint64_t wanted, const Chunk& chunk) { return wanted < chunk.position; });
  return &*std::prev(after);
}

std::optional<Piece> OutputLog::peek(Handle subscriber) const noexcept {
  const Chunk* chunk = chunk_at(subscriber->position);
  if (chunk == nullptr) return std::nullopt;
  return Piece{chunk->channel, std::string_view(chunk->data).substr(subscriber->position - chunk->position)};
}

void OutputLog::advance(Handle subscriber) {
  const Chunk* chunk = chunk_at(subscriber->position);
  WRENN_CHECK(chunk != nullptr);
  const bool was_full = !room();
  subscriber->position = chunk->position + chunk->data.size();
  drop_old(was_full);
}

std::uint64_t OutputLog::slowest() const noexcept {
  std::uint64_t slowest = end_;
  for (const Subscriber& subscriber : subscribers_) slowest = std::min(slowest, subscriber.position);
  return slowest;
}

void OutputLog::drop_old(bool was_full) {
  const std::uint64_t unread = slowest();
  while (!chunks_.empty()) {
    const Chunk& oldest = chunks_.front();
    const bool read = oldest.position + oldest.data.size() <= unread;
    if (!read || (unread - oldest.position <= replay_ && chunks_.size() <= limits::kReplayChunks)) break;
    chunks_.pop_front();
  }
  if (was_full && room()) on_room_();
}

}  // namespace wrenn::envd::process
