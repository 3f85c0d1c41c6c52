// Who wants to know what, within a process: the subscriptions of a Database.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/async/task.h"

namespace wrenn::db {

// Absent: the connection was down, so words may have been lost; look yourself. Must not throw.
using OnNotification = std::function<void(std::optional<std::string_view> payload)>;

// Ends with its destruction, which belongs to the thread of its executor: nothing is called afterwards.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class Notifications : public std::enable_shared_from_this<Notifications> {
 public:
  // `callback` is called on the thread of `executor`.
  std::unique_ptr<Subscription> subscribe(async::Executor executor, std::string channel,
                                          OnNotification callback);

  // From any thread.
  void tell(std::string_view channel, std::string_view payload);
  void tell_of_loss();

 private:
  struct Listener {
    async::Executor executor;
    OnNotification callback;
  };
  using Listeners = std::list<std::shared_ptr<Listener>>;
  class Ticket;
  static void post(const Listeners& listeners, const std::optional<std::string>& payload);

  std::mutex mutex_;
  std::map<std::string, Listeners, std::less<>> by_channel_;
};

}  // namespace wrenn::db
