// POST /init: what the host tells the guest after boot and after every resume (spec/envd.md §5).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/envd.h"
#include "core/async/offload.h"
#include "core/base/clock.h"
#include "core/http/reply.h"
#include "envd/auth.h"
#include "envd/defaults.h"

namespace wrenn::envd {

class InitEndpoint {
 public:
  // All must outlive this. `in_guest`: the machine is ours to change; otherwise only `token` and `defaults`
  // are.
  // `done`: called when all is in force, before the answer.
  InitEndpoint(bool in_guest, async::ThreadPool& threads, AccessToken& token, Defaults& defaults,
               std::function<void()> done)
      : in_guest_(in_guest), threads_(threads), token_(token), defaults_(defaults), done_(std::move(done)) {}

  // 204. Everything is checked before anything is changed. Who may: anybody while no token is set; afterwards
  // whoever shows the token, in X-Access-Token or as accessToken of the body; the first way lets the body
  // bring a new one, or
  // "" to clear it. A message whose timestamp is not newer than that of the last one for the same sandbox
  // changes nothing: it is a repetition, or was overtaken. Throws Error(unauthenticated),
  // Error(invalid_argument).
  async::Task<> handle(http::Request& request, http::Reply& reply);

 private:
  bool is_stale(const api::envd::InitRequest& message, std::optional<UnixTime> time) const;
  void remember(const api::envd::InitRequest& message, std::optional<UnixTime> time);

  bool in_guest_;
  async::ThreadPool& threads_;
  AccessToken& token_;
  Defaults& defaults_;
  std::function<void()> done_;
  std::optional<UnixTime> last_time_;  // of the last message that had one
  std::string sandbox_id_;
};

}  // namespace wrenn::envd
