// Delivers events to channels, in whichever process has the lease for it.
//
//   wrenn:events ──take in──▶ rows `deliveries` ──▶ a lane for each channel ──▶ receiver
//   (group wrenn-channels-v1)        ▲                    │ up to 8 at once, of one resource one
//                                    └──── results ◀──────┘
//
// Everything stands in the rows: another process goes on where this one was, and repeats what it does not
// know to be delivered (at least once). A channel whose last delivery failed gets one attempt at a time, the
// oldest that is due, until one works: an outage does not use up what others may try.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/async/scope.h"
#include "core/db/lease.h"
#include "core/metrics/metrics.h"
#include "cp/channels/sealed_config.h"
#include "cp/channels/sender.h"
#include "cp/channels/verdict.h"
#include "cp/encryption_key.h"
#include "cp/store/deliveries.h"

namespace wrenn::cp::channels {

inline constexpr std::string_view kGroup = "wrenn-channels-v1";

class Deliverer {
 public:
  // All must outlive this. Events older than `retention` are deleted.
  Deliverer(async::Executor executor, db::Database& database, EncryptionKey& key, Sender& sender,
            metrics::Registry& registry, const ChannelConfig& config, std::chrono::milliseconds retention);

  // Ends by cancellation only.
  Task<> run();

 private:
  struct Lane {
    Lane(async::Executor executor, const model::ChannelId& id) : channel(id), woken(executor) {}
    const model::ChannelId channel;
    async::Event woken;
    bool asked = true;
    std::set<std::string> under_way;  // events
    std::set<std::string> noted;      // events whose result was written since the last look at the rows
    // Of the channel as last seen:
    std::string provider, name;
    std::optional<UnixTime> config_of;
    std::shared_ptr<const Config> config;  // null: it cannot be decrypted
  };
  struct Plan {
    std::optional<store::Channel> channel;
    std::shared_ptr<const crypto::Aead> key;  // of `channel`; null if its configuration is known already
    std::vector<store::Delivery> due;
    std::optional<UnixTime> next;  // if nothing is due and nothing under way
  };

  template <typename F>
  auto write(F work) -> Task<std::invoke_result_t<F&, db::Connection&>>;
  Task<> lead();
  Task<> work();
  Task<> take_in();
  Task<> note_results();
  Task<> trim();
  void start(Task<> task);
  Task<> report(Task<> task);
  Task<> keep_lane(Lane& lane);
  Task<Plan> plan(const Lane& lane);
  static void learn(Lane& lane, const Plan& plan);
  Task<> attempt(Lane& lane, store::Delivery delivery);
  Task<Outcome> send(std::string provider, std::shared_ptr<const Config> config,
                     const store::Delivery& delivery);
  Task<> wake_all();
  void wake(const model::ChannelId& channel);
  void told(std::optional<std::string_view> channel);
  void count(const store::Attempt& attempt);

  async::Executor executor_;
  db::Database& database_;
  EncryptionKey& key_;
  Sender& sender_;
  metrics::Registry& metrics_;
  const ChannelConfig& config_;
  const std::chrono::milliseconds retention_;
  db::Lease lease_;

  async::Event woken_;
  bool asked_ = false, look_at_all_ = false;

  // Of the time of one lease:
  async::Scope* lanes_scope_ = nullptr;
  std::map<model::ChannelId, std::unique_ptr<Lane>> lanes_;
  std::size_t sending_ = 0;
  async::Event slot_free_;
  std::vector<store::Attempt> results_;
  std::exception_ptr failure_;  // of a lane
  bool lacks_room_ = false;     // the database, at the last write
  async::Event result_;
};

}  // namespace wrenn::cp::channels
