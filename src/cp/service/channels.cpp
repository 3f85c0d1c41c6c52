#include "cp/service/channels.h"

#include "api/errors.h"
#include "api/event.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "cp/channels/limits.h"
#include "cp/service/audit.h"
#include "cp/service/channel_rules.h"

namespace wrenn::cp::service {

namespace limits = channels::limits;

namespace {

constexpr audit::Action kCreate{"channel", "create"};
constexpr audit::Action kUpdate{"channel", "update", store::kTeamScope, "info"};
constexpr audit::Action kRotateConfig{"channel", "rotate_config", store::kTeamScope, "info"};
constexpr audit::Action kDelete{"channel", "delete", store::kTeamScope, "warning"};

void note(db::Connection& connection, const audit::Action& action, const Caller& caller,
          const store::Channel& channel) {
  audit::write(connection, action, caller.team, caller.actor, channel.id.text(),
               {{"name", channel.name}, {"provider", channel.provider}});
}

store::Channel require(db::Connection& connection, const Caller& caller, const model::ChannelId& id) {
  auto channel = store::find_channel(connection, caller.team, id);
  if (!channel) throw_error(ErrorCode::not_found, "channel not found");
  return std::move(*channel);
}

[[noreturn]] void throw_conflict(std::string message) {
  throw api::PublicError(ErrorCode::already_exists, 409, "conflict", std::move(message));
}

// A webhook signs with a secret; one that is not given is made.
std::optional<std::string> complete(const channels::Provider& provider, api::ChannelConfig& config) {
  if (provider.name != "webhook" || !config["secret"].empty()) return std::nullopt;
  config["secret"] = random_hex(limits::kSecretBytes);
  return config["secret"];
}

// A name of the team that another channel has breaks a constraint, and that ends the write.
template <typename T>
Task<T> telling_taken(Task<T> write) {
  try {
    co_return co_await std::move(write);
  } catch (const api::PublicError&) {
    throw;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::already_exists) throw_conflict("a channel of this name exists already");
    throw;
  }
}

}  // namespace

Task<Channels::Changed> Channels::create(Caller caller, api::CreateChannel body) {
  Changed made;
  auto& row = made.row;
  row.name = admit_channel_name(body.name);
  const auto& provider = admit_provider(body.provider);
  row.events = admit_event_types(body.events);
  admit_channel_config(provider, body.config);
  made.secret = complete(provider, body.config);
  row.id = model::ChannelId::random();
  row.team = caller.team;
  row.provider = provider.name;
  row.created_at = row.updated_at = now();
  auto write = [&](db::Connection& connection) {
    if (store::count_channels(connection, caller.team) >= static_cast<std::int64_t>(limits::kChannelsOfTeam))
      throw_conflict(fmt::format("a team has at most {} channels; delete one", limits::kChannelsOfTeam));
    row.config = channels::seal(*key_.in(connection), body.config);
    store::insert_channel(connection, row);
    note(connection, kCreate, caller, row);
    return true;
  };
  auto writing = database_.write(write);
  co_await telling_taken(std::move(writing));
  co_return made;
}

Task<std::vector<store::Channel>> Channels::list(Caller caller) {
  auto read = [&](db::Connection& connection) { return store::channels_of(connection, caller.team); };
  co_return co_await database_.read(read);
}

Task<store::Channel> Channels::get(Caller caller, model::ChannelId id) {
  auto read = [&](db::Connection& connection) { return require(connection, caller, id); };
  co_return co_await database_.read(read);
}

Task<store::Channel> Channels::update(Caller caller, model::ChannelId id, api::UpdateChannel body) {
  const auto name = admit_channel_name(body.name);
  const auto events = admit_event_types(body.events);
  auto write = [&](db::Connection& connection) {
    auto row = require(connection, caller, id);
    row.name = name;
    row.events = events;
    row.updated_at = now();
    store::update_channel(connection, row);
    note(connection, kUpdate, caller, row);
    return row;
  };
  auto writing = database_.write(write);
  co_return co_await telling_taken(std::move(writing));
}

Task<Channels::Changed> Channels::replace_config(Caller caller, model::ChannelId id,
                                                 api::ChannelConfig config) {
  auto write = [&](db::Connection& connection) {
    Changed changed;
    auto& row = changed.row = require(connection, caller, id);
    const auto& provider = admit_provider(row.provider);
    const auto key = key_.in(connection);
    auto wanted = config;
    if (provider.name == "webhook" && !wanted.contains("url")) {
      const auto before = channels::unseal(*key, row.config);
      wanted["url"] = before.at("url");
    }
    admit_channel_config(provider, wanted);
    changed.secret = complete(provider, wanted);
    row.config = channels::seal(*key, wanted);
    row.updated_at = now();
    store::update_channel(connection, row);
    // What failed before may work now.
    store::try_at_once(connection, row.id, row.updated_at);
    note(connection, kRotateConfig, caller, row);
    return changed;
  };
  co_return co_await database_.write(write);
}

Task<> Channels::remove(Caller caller, model::ChannelId id) {
  auto write = [&](db::Connection& connection) {
    const auto row = store::find_channel(connection, caller.team, id);
    if (!row) return;
    store::delete_channel(connection, caller.team, id);
    note(connection, kDelete, caller, *row);
  };
  co_await database_.write(write);
}

Task<> Channels::test(Caller caller, api::TestChannel body) {
  const auto& provider = admit_provider(body.provider);
  admit_channel_config(provider, body.config);
  (void)complete(provider, body.config);
  model::Event event;
  event.type = model::event::kChannelTest;
  event.outcome = model::Outcome::success;
  event.at = now();
  event.team = caller.team;
  event.actor = caller.actor;
  event.resource_type = "channel";
  auto& under_way = testing_[caller.team];
  if (under_way >= limits::kTestsOfTeam)
    throw api::RateLimited(std::chrono::ceil<std::chrono::seconds>(limits::kAttemptTimeout));
  ++under_way;
  const ScopeGuard ended([this, &caller] {
    if (--testing_[caller.team] == 0) testing_.erase(caller.team);
  });
  auto request = provider.request(body.config, {random_hex(12), json::to_json(api::event_view(event)),
                                                event.at, channels::random_uuid()});
  std::string reason;
  try {
    const auto answer = co_await sender_.send(std::move(request));
    if (answer.status >= 200 && answer.status < 300) co_return;
    reason = fmt::format("the receiver answered {}", answer.status);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    if (error.code() == ErrorCode::permission_denied || error.code() == ErrorCode::invalid_argument)
      throw_error(ErrorCode::invalid_argument, "{}", error.what());
    reason = error.what();
  }
  throw api::PublicError(ErrorCode::unavailable, 502, "delivery_failed", reason);
}

Task<std::vector<store::Delivery>> Channels::deliveries(Caller caller, model::ChannelId id,
                                                        std::string status, std::int64_t before,
                                                        std::int64_t limit) {
  auto read = [&](db::Connection& connection) {
    require(connection, caller, id);
    return store::deliveries_page(connection, id, status, before, limit);
  };
  co_return co_await database_.read(read);
}

Task<> Channels::redeliver(Caller caller, model::ChannelId id, std::string event_id) {
  const auto at = now();
  auto write = [&](db::Connection& connection) {
    require(connection, caller, id);
    if (store::redeliver(connection, id, event_id, at)) return;
    if (!store::has_delivery(connection, id, event_id))
      throw_error(ErrorCode::not_found, "delivery not found");
    throw_conflict("the event is waiting to be delivered anyway");
  };
  co_await database_.lead(write);
}

}  // namespace wrenn::cp::service
