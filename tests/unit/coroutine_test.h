// Runs a coroutine as a test: on a loop of its own, with a time limit.
#pragma once

#include <catch2/catch.hpp>

#include <optional>
#include <utility>

#include "core/async/task.h"

namespace wrenn::test {

// Rethrows what `task` throws (a failed REQUIRE included). A task that does not end within `limit` fails the
// test; its loop is then leaked, because tearing down live scopes would abort the program and hide which test
// it was.
inline void run(async::Task<> task, std::chrono::seconds limit = std::chrono::seconds(30)) {
  auto* loop = new asio::io_context(1);
  bool ended = false;
  std::exception_ptr error;
  asio::co_spawn(*loop, std::move(task), [&](std::exception_ptr failed) {
    ended = true;
    error = failed;
  });
  loop->run_for(limit);
  if (!ended) FAIL("the test did not end within " << limit.count() << " s");
  delete loop;
  if (error) std::rethrow_exception(error);
}

}  // namespace wrenn::test
