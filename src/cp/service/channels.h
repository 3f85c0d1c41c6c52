// What a team does with its notification channels.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/channel.h"
#include "core/async/task.h"
#include "cp/channels/sender.h"
#include "cp/encryption_key.h"
#include "cp/service/caller.h"
#include "cp/store/channels.h"
#include "cp/store/deliveries.h"

namespace wrenn::cp::service {

using async::Task;

class Channels {
 public:
  // All must outlive this. `sender` is for tests.
  Channels(db::Database& database, EncryptionKey& key, channels::Sender& sender)
      : database_(database), key_(key), sender_(sender) {}

  struct Changed {
    store::Channel row;
    std::optional<std::string> secret;  // of a webhook, made now and never to be seen again
  };
  // Throws Error(invalid_argument) for what cannot be a channel, PublicError conflict for a name that is
  // taken or a channel too many.
  Task<Changed> create(Caller caller, api::CreateChannel body);
  // Newest first.
  Task<std::vector<store::Channel>> list(Caller caller);
  // These throw Error(not_found), and as create().
  Task<store::Channel> get(Caller caller, model::ChannelId id);
  Task<store::Channel> update(Caller caller, model::ChannelId id, api::UpdateChannel body);
  // The whole configuration; a webhook keeps its URL if none is given.
  Task<Changed> replace_config(Caller caller, model::ChannelId id, api::ChannelConfig config);
  // Nothing happens to one that is not there.
  Task<> remove(Caller caller, model::ChannelId id);

  // Delivers channel.test. Throws Error(invalid_argument) also for an address that is not allowed,
  // PublicError 502 delivery_failed with the reason, api::RateLimited while too many of the team are under
  // way.
  Task<> test(Caller caller, api::TestChannel body);

  // Newest first. Throws Error(not_found).
  Task<std::vector<store::Delivery>> deliveries(Caller caller, model::ChannelId id, std::string status,
                                                std::int64_t before, std::int64_t limit);
  // Once more, with all its attempts. Throws Error(not_found), PublicError conflict while it is pending.
  Task<> redeliver(Caller caller, model::ChannelId id, std::string event_id);

 private:
  db::Database& database_;
  EncryptionKey& key_;
  channels::Sender& sender_;
  std::map<model::TeamId, std::size_t> testing_;  // tests under way
};

}  // namespace wrenn::cp::service
