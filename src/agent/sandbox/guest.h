// The guest of a running machine, as seen through its envd. Hostile: every answer is bounded in size and
// time.
#pragma once

#include <string>

#include "agent/journal.h"
#include "agent/vmm/machine.h"
#include "api/envd_client.h"
#include "core/base/clock.h"
#include "core/http/client.h"

namespace wrenn::agent::sandbox {

using async::Task;

struct InitOptions {
  // That the guest has by now: of the machine that it is a clone of. Empty: none, or the one of the record.
  std::string previous_token;
  // Whose end ends the wait for its guest; may be null.
  vmm::Machine* machine = nullptr;
};

class Guest {
 public:
  Guest(async::Executor executor, net::Address address, std::string access_token);

  const net::Address& address() const noexcept { return client_.address(); }
  // For the pass-through; kept-alive connections, shared by all requests.
  http::Client& client() noexcept { return client_; }
  const std::string& access_token() const noexcept { return token_; }

  // Asks until envd answers, at most limits::kGuestReady (…Emulated); throws Error(deadline_exceeded) with
  // the end of the console, or Error(aborted) at once when the machine ends first. Gives envd's version,
  // empty when it states none.
  Task<std::string> wait_ready(vmm::Machine& machine);
  // One try. False when there is no answer within `timeout`.
  Task<bool> is_ready(std::chrono::steady_clock::duration timeout);
  // Hands over identity, defaults, token and time (spec/envd.md), as soon as the guest can be reached. After
  // a boot and after every resume. Lets go on what freeze() stopped, also in a machine that was made from a
  // snapshot of this one.
  Task<> init(const Record& record, InitOptions options);
  // Runs a program that does nothing, so that what it takes is in the guest's memory and, under emulation,
  // translated. Quiet about failures.
  Task<> warm_up();
  // The same before the guest has a token, and lets it write what an introduction writes, in nobody's name.
  Task<> warm_up_nobody();
  // Stops what users run, for a snapshot. False when the guest does not answer within `timeout` or cannot.
  // Throws Error(canceled) only.
  Task<bool> freeze(std::chrono::steady_clock::duration timeout);
  // Sets its clock and lets it go on; quiet when that fails, because the guest does it by itself after a
  // while.
  Task<> unfreeze(std::string sandbox_id);
  // Absent when the guest does not answer well.
  Task<std::optional<api::envd::Metrics>> metrics();

 private:
  Task<> introduce(const Record& record, std::string previous_token);
  Task<bool> post(std::string path, std::chrono::steady_clock::duration timeout);
  Task<bool> set_clock(std::string sandbox_id);
  Task<> correct_clock(std::string sandbox_id, SteadyTime sent);

  async::Executor executor_;
  http::Client client_;
  std::string token_;
};

}  // namespace wrenn::agent::sandbox
