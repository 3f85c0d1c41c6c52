// POST /init: what the host tells the guest after boot and after every resume (spec/envd.md §5).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/envd.h"
#include "core/async/event.h"
#include "core/async/offload.h"
#include "core/base/clock.h"
#include "core/http/reply.h"
#include "envd/auth.h"
#include "envd/defaults.h"

namespace wrenn::envd {

class InitEndpoint {
 public:
  struct Hooks {
    std::function<void()> before_writes;  // the file system must not be frozen from here on
    std::function<void()> done;           // all is in force; before the answer
  };
  // All must outlive this. `in_guest`: the machine is ours to change; otherwise only `token` and `defaults`
  // are.
  InitEndpoint(bool in_guest, async::Executor executor, async::ThreadPool& threads, AccessToken& token,
               Defaults& defaults, Hooks hooks)
      : in_guest_(in_guest),
        threads_(threads),
        token_(token),
        defaults_(defaults),
        hooks_(std::move(hooks)),
        lost_keys_(std::move(executor)) {}

  // 204. Everything is checked before anything is changed. Who may: anybody while no token is set; afterwards
  // whoever shows the token, in X-Access-Token or as accessToken of the body; the first way lets the body
  // bring a new one, or
  // "" to clear it. A message whose timestamp is not newer than that of the last one for the same sandbox
  // changes nothing: it is a repetition, or was overtaken. Throws Error(unauthenticated),
  // Error(invalid_argument).
  async::Task<> handle(http::Request& request, http::Reply& reply);

  // Makes new SSH host keys whenever a change of identity has removed the old ones. Until it is cancelled.
  async::Task<> replace_keys();

 private:
  bool is_stale(const api::envd::InitRequest& message, std::optional<UnixTime> time) const;
  void remember(const api::envd::InitRequest& message, std::optional<UnixTime> time);

  bool in_guest_;
  async::ThreadPool& threads_;
  AccessToken& token_;
  Defaults& defaults_;
  Hooks hooks_;
  async::Event lost_keys_;
  std::optional<UnixTime> last_time_;  // of the last message that had one
  std::string sandbox_id_;
};

}  // namespace wrenn::envd
