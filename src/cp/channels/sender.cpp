#include "cp/channels/sender.h"

namespace wrenn::cp::channels {

static outbound::AddressPolicy policy_of(const ChannelConfig& config) {
  outbound::AddressPolicy policy;
  policy.allow_private = config.allow_private;
  for (const auto& network : config.allowed_networks)
    policy.allowed.push_back(outbound::Network::parse(network));
  return policy;
}

OutboundSender::OutboundSender(const ChannelConfig& config, std::string ca_file, std::size_t threads)
    : policy_(policy_of(config)), client_({threads, std::move(ca_file), {}}) {}

Task<outbound::Response> OutboundSender::send(outbound::Request request) {
  request.policy = policy_;
  co_return co_await client_.send(std::move(request));
}

}  // namespace wrenn::cp::channels
