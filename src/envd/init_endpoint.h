// POST /init: what the host tells the guest after boot and after every resume (spec/envd.md §5).
#pragma once

#include "core/async/offload.h"
#include "core/http/reply.h"
#include "envd/auth.h"
#include "envd/defaults.h"

namespace wrenn::envd {

class InitEndpoint {
 public:
  // All must outlive this. `in_guest`: the machine is ours to change; otherwise only `token` and `defaults`
  // are.
  InitEndpoint(bool in_guest, async::ThreadPool& threads, AccessToken& token, Defaults& defaults)
      : in_guest_(in_guest), threads_(threads), token_(token), defaults_(defaults) {}

  // 204. Everything is checked before anything is changed. Who may: anybody while no token is set; afterwards
  // whoever shows the token, in X-Access-Token or as accessToken of the body; the first way lets the body
  // bring a new one, or
  // "" to clear it. Throws Error(unauthenticated), Error(invalid_argument).
  async::Task<> handle(http::Request& request, http::Reply& reply);

 private:
  bool in_guest_;
  async::ThreadPool& threads_;
  AccessToken& token_;
  Defaults& defaults_;
};

}  // namespace wrenn::envd
