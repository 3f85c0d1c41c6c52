#include "core/async/loop_thread.h"

#include <csignal>

#include "core/async/loop.h"
#include "core/log/log.h"

namespace wrenn::async {

LoopThread::LoopThread(std::string role, std::function<Task<>()> main_task, std::function<void()> ended) {
  // Signals are the business of the main thread's loop.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this, role = std::move(role), main_task = std::move(main_task), ended = std::move(ended)] {
    log::set_role(role);
    try {
      run_loop(role, main_task);
    } catch (...) {
      failure_ = std::current_exception();
    }
    ended();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LoopThread::~LoopThread() {
  if (thread_.joinable()) thread_.join();
}

void LoopThread::join() {
  if (thread_.joinable()) thread_.join();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace wrenn::async
