#include "core/async/mailbox.h"

#include "core/async/scope.h"
#include "coroutine_test.h"

using namespace std::chrono_literals;
using wrenn::async::Mailbox;
using wrenn::async::Scope;
using wrenn::async::Task;
using wrenn::test::run;

namespace async = wrenn::async;

namespace {

Task<> push_range(Mailbox<int>& mailbox, int from, int to, int& pushed) {
  for (int i = from; i < to; ++i) {
    if (!co_await mailbox.push(i)) co_return;
    ++pushed;
  }
}

Task<> pop_all(Mailbox<int>& mailbox, std::vector<int>& out, int yields) {
  while (auto value = co_await mailbox.pop()) {
    out.push_back(*value);
    for (int i = 0; i < yields; ++i) co_await async::yield();
  }
}

}  // namespace

TEST_CASE("a mailbox keeps the order") {
  run([]() -> Task<> {
    Mailbox<int> mailbox(co_await asio::this_coro::executor, 3);
    CHECK(mailbox.try_push(1));
    CHECK(mailbox.try_push(2));
    CHECK(mailbox.try_push(3));
    CHECK_FALSE(mailbox.try_push(4));
    CHECK(mailbox.try_pop() == 1);
    CHECK(co_await mailbox.pop() == 2);
    CHECK(co_await mailbox.pop() == 3);
    CHECK_FALSE(mailbox.try_pop());
  }());
}

TEST_CASE("a full mailbox holds its senders back") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    Mailbox<int> mailbox(executor, 2);
    Scope scope(executor, "test");
    int pushed = 0;
    scope.spawn(push_range(mailbox, 0, 5, pushed));
    for (int i = 0; i < 10; ++i) co_await async::yield();
    CHECK(pushed == 2);
    CHECK(mailbox.size() == 2);
    CHECK(co_await mailbox.pop() == 0);
    for (int i = 0; i < 10; ++i) co_await async::yield();
    CHECK(pushed == 3);
    std::vector<int> rest;
    scope.spawn(pop_all(mailbox, rest, 0));
    co_await async::sleep(5ms);
    CHECK(pushed == 5);
    mailbox.close();
    co_await scope.join();
    CHECK(rest == std::vector<int>{1, 2, 3, 4});
  }());
}

TEST_CASE("closing a mailbox wakes senders and receivers; what is in it can still be read") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    Mailbox<int> mailbox(executor, 1);
    Scope scope(executor, "test");
    int pushed = 0;
    scope.spawn(push_range(mailbox, 0, 3, pushed));
    co_await async::yield();
    mailbox.close();
    CHECK_FALSE(mailbox.try_push(9));
    CHECK_FALSE(co_await mailbox.push(9));
    co_await scope.join();
    CHECK(pushed == 1);
    CHECK(co_await mailbox.pop() == 0);
    CHECK_FALSE(co_await mailbox.pop());

    Mailbox<int> empty(executor, 1);
    std::vector<int> none;
    scope.spawn(pop_all(empty, none, 0));
    co_await async::yield();
    empty.close();
    co_await scope.join();
    CHECK(none.empty());
  }());
}

TEST_CASE("every value of many senders reaches exactly one of many receivers") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    Mailbox<int> mailbox(executor, 4);
    Scope senders(executor, "senders");
    Scope receivers(executor, "receivers");
    int pushed = 0;
    std::vector<int> received;
    for (int r = 0; r < 3; ++r) receivers.spawn(pop_all(mailbox, received, r));
    for (int s = 0; s < 8; ++s) senders.spawn(push_range(mailbox, s * 100, s * 100 + 100, pushed));
    co_await senders.join();
    mailbox.close();
    co_await receivers.join();
    CHECK(pushed == 800);
    std::sort(received.begin(), received.end());
    std::vector<int> expected(800);
    for (int i = 0; i < 800; ++i) expected[static_cast<std::size_t>(i)] = i;
    CHECK(received == expected);
  }());
}
