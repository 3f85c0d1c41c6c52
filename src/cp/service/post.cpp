#include "cp/service/post.h"

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
  for (const auto pause : pauses_) {
    try {
      co_await mailer_.send(mail);
      co_return;
    } catch (const Error& error) {
      const bool later =
          error.code() == ErrorCode::unavailable || error.code() == ErrorCode::deadline_exceeded;
      if (!later) throw;
      log::warn("a mail was not sent yet; trying again",
                {{"to", mail.to.address}, {"subject", mail.subject}, {"error", error.what()}});
    }
    co_await async::sleep(pause);
  }
  co_await mailer_.send(mail);
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
