// How messages leave this process.
#pragma once

#include "core/outbound/http_request.h"
#include "cp/config.h"

namespace wrenn::cp::channels {

using async::Task;

class Sender {
 public:
  virtual ~Sender() = default;
  // Throws as outbound::Client::send().
  virtual Task<outbound::Response> send(outbound::Request request) = 0;
};

// To the addresses that the settings allow.
class OutboundSender final : public Sender {
 public:
  // `threads`: messages under way at once; others wait, and their time runs. `ca_file`: whom we trust in TLS;
  // empty: the machine's. Throws Error(invalid_argument) for a network that is none.
  OutboundSender(const ChannelConfig& config, std::string ca_file, std::size_t threads);
  Task<outbound::Response> send(outbound::Request request) override;
  // What is under way ends now.
  void stop() noexcept { client_.stop(); }

 private:
  outbound::AddressPolicy policy_;
  outbound::Client client_;
};

}  // namespace wrenn::cp::channels
