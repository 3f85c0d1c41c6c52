// What a client asks of its PTY, in order. Keystrokes that queue up behind a slow guest are joined into one
// call; the message that ends such a run (a resize, a kill) is kept and comes next, never before, never lost.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "api/envd.h"
#include "core/async/mailbox.h"

namespace wrenn::cp::handlers {

struct PtyInput {
  std::string bytes;
};
struct PtyKill {};
using PtyCommand = std::variant<PtyInput, api::envd::PtySize, PtyKill>;

class PtyQueue {
 public:
  // input_bytes_max: joined inputs stay below this, apart from a single one that is larger.
  PtyQueue(async::Executor executor, std::size_t capacity, std::size_t input_bytes_max)
      : mailbox_(executor, capacity), input_bytes_max_(input_bytes_max) {}

  // Waits for room; false once closed.
  async::Task<bool> push(PtyCommand command) { return mailbox_.push(std::move(command)); }
  // No more will come; what is queued is still delivered.
  void close() { mailbox_.close(); }

  // The next call for the guest; absent once closed and empty.
  async::Task<std::optional<PtyCommand>> next() {
    auto command = kept_ ? std::exchange(kept_, std::nullopt) : co_await mailbox_.pop();
    if (!command) co_return std::nullopt;
    if (auto* input = std::get_if<PtyInput>(&*command)) {
      while (auto more = mailbox_.try_pop()) {
        auto* also = std::get_if<PtyInput>(&*more);
        if (also == nullptr || input->bytes.size() + also->bytes.size() > input_bytes_max_) {
          kept_ = std::move(more);
          break;
        }
        input->bytes += also->bytes;
      }
    }
    co_return command;
  }

 private:
  async::Mailbox<PtyCommand> mailbox_;
  std::size_t input_bytes_max_;
  std::optional<PtyCommand> kept_;
};

}  // namespace wrenn::cp::handlers
