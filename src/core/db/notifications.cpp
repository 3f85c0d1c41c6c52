#include "core/db/notifications.h"

namespace wrenn::db {

class Notifications::Ticket final : public Subscription {
 public:
  Ticket(std::shared_ptr<Notifications> of, std::string channel, std::shared_ptr<Listener> listener)
      : of_(std::move(of)), channel_(std::move(channel)), listener_(std::move(listener)) {}
  ~Ticket() override {
    const std::lock_guard lock(of_->mutex_);
    const auto found = of_->by_channel_.find(channel_);
    found->second.remove(listener_);
    if (found->second.empty()) of_->by_channel_.erase(found);
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

 private:
  const std::shared_ptr<Notifications> of_;
  const std::string channel_;
  const std::shared_ptr<Listener> listener_;
};

std::unique_ptr<Subscription> Notifications::subscribe(async::Executor executor, std::string channel,
                                                       OnNotification callback) {
  auto listener = std::make_shared<Listener>(std::move(executor), std::move(callback));
  const std::lock_guard lock(mutex_);
  by_channel_[channel].push_back(listener);
  return std::make_unique<Ticket>(shared_from_this(), std::move(channel), std::move(listener));
}

// With the lock held: a listener that is still in the list has a loop that is still there.
void Notifications::post(const Listeners& listeners, const std::optional<std::string>& payload) {
  for (const auto& listener : listeners)
    asio::post(listener->executor, [weak = std::weak_ptr<Listener>(listener), payload] {
      if (const auto still = weak.lock()) still->callback(payload);
    });
}

void Notifications::tell(std::string_view channel, std::string_view payload) {
  const std::lock_guard lock(mutex_);
  const auto found = by_channel_.find(channel);
  if (found != by_channel_.end()) post(found->second, std::string(payload));
}

void Notifications::tell_of_loss() {
  const std::lock_guard lock(mutex_);
  for (const auto& [channel, listeners] : by_channel_) post(listeners, std::nullopt);
}

}  // namespace wrenn::db
