// Everything that tells teams what happened: the numbering of events, their delivery to channels, and those
// who listen.
#pragma once

#include "core/async/scope.h"
#include "core/events/sequencer.h"
#include "core/metrics/metrics.h"
#include "cp/channels/deliverer.h"
#include "cp/channels/limits.h"
#include "cp/encryption_key.h"
#include "cp/event_feed.h"
#include "cp/service/channels.h"
#include "cp/worker/redis_mirror.h"

namespace wrenn::cp {

struct Notifier {
  // All must outlive this. Blocking; throws as EncryptionKey().
  Notifier(async::Executor executor, const Config& config, db::Database& database,
           metrics::Registry& registry)
      : key(config, database),
        sender(config.channels, config.outbound_ca_file, cp::channels::limits::kAtOnce),
        test_sender(config.channels, config.outbound_ca_file, cp::channels::limits::kTestsAtOnce),
        channels(database, key, test_sender),
        feed(executor, database),
        sequencer(executor, database),
        deliverer(executor, database, key, sender, registry, config.channels, config.events_retention),
        redis_mirror(executor, database, config.redis_url) {}

  void start(async::Scope& background) {
    background.spawn(feed.run());
    background.spawn(sequencer.run());
    background.spawn(deliverer.run());
    background.spawn(redis_mirror.run());
  }
  // Before `background` is cancelled: what is on its way to a receiver does not hold up the end.
  void stop() noexcept {
    sender.stop();
    test_sender.stop();
  }

  EncryptionKey key;
  channels::OutboundSender sender, test_sender;
  service::Channels channels;
  EventFeed feed;
  events::Sequencer sequencer;
  channels::Deliverer deliverer;
  worker::RedisMirror redis_mirror;
};

}  // namespace wrenn::cp
