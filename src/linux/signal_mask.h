// The signal mask of the calling thread.
#pragma once

#include <signal.h>

namespace wrenn::sys {

// Blocks every signal in this thread while it lives, then restores the mask. Stays in its scope and thread.
class SignalBlock {
 public:
  SignalBlock() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

 private:
  sigset_t before_;
};

}  // namespace wrenn::sys
