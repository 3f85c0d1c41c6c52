#include "cp/service/post.h"

#include "core/base/error.h"
#include "core/log/log.h"

namespace wrenn::cp::service {

void Post::send(Letter letter) {
  background_.spawn(try_to_deliver(std::move(letter)));
}

async::Task<> Post::try_to_deliver(Letter letter) {
  const auto to = letter.to_address, subject = letter.subject;
  std::exception_ptr failure;
  try {
    outbound::Mail mail{{std::move(letter.to_address), std::move(letter.to_name)},
                        std::move(letter.subject),
                        std::move(letter.text),
                        std::move(letter.html)};
    co_await mailer_.send(std::move(mail));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !async::is_cancellation(failure))
    log::error("a mail was not sent", {{"to", to}, {"subject", subject}, {"error", describe(failure)}});
}

}  // namespace wrenn::cp::service
