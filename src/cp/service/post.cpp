#include "cp/service/post.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/log/log.h"

namespace wrenn::cp::service {

void Post::send(Letter letter) {
  background_.spawn(try_to_deliver(std::move(letter)));
}

async::Task<> Post::deliver(Letter letter) {
  const outbound::Mail mail{{std::move(letter.to_address), std::move(letter.to_name)},
                            std::move(letter.subject),
                            std::move(letter.text),
                            std::move(letter.html)};
  for (std::size_t failures = 0;; ++failures) {
    try {
      co_await mailer_.send(mail);
      co_return;
    } catch (const Error& error) {
      // The directory for mails: it takes them once there is room, however long that takes.
      const bool full = error.code() == ErrorCode::resource_exhausted;
      const bool later = full || ((error.code() == ErrorCode::unavailable ||
                                   error.code() == ErrorCode::deadline_exceeded) &&
                                  failures < pauses_.size());
      if (!later || pauses_.empty()) throw;
      log::warn("a mail was not sent yet; trying again",
                {{"to", mail.to.address}, {"subject", mail.subject}, {"error", error.what()}});
    }
    co_await async::sleep(pauses_[std::min(failures, pauses_.size() - 1)]);
  }
}

async::Task<> Post::try_to_deliver(Letter letter) {
  const auto to = letter.to_address, subject = letter.subject;
  std::exception_ptr failure;
  try {
    co_await deliver(std::move(letter));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !async::is_cancellation(failure))
    log::error("a mail was not sent", {{"to", to}, {"subject", subject}, {"error", describe(failure)}});
}

}  // namespace wrenn::cp::service
