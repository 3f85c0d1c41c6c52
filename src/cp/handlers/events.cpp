#include "cp/handlers/events.h"

#include "api/errors.h"
#include "core/async/scope.h"
#include "core/base/text.h"
#include "core/http/sse.h"
#include "cp/channels/limits.h"

namespace wrenn::cp::handlers {

namespace limits = channels::limits;

// The number of the last event that the listener has seen; absent: it wants what comes from now on.
static std::optional<std::int64_t> last_seen(const Request& request) {
  const auto field = request.headers.get("Last-Event-ID");
  const auto text = field ? std::optional<std::string>(*field) : request.query_value("last_event_id");
  if (!text || text->empty()) return std::nullopt;
  const auto number = parse_int<std::int64_t>(*text);
  if (!number || *number < 0)
    throw_error(ErrorCode::invalid_argument, "Last-Event-ID: must be the id of an event of this stream");
  return *number;
}

static Task<> until_revoked(service::Credentials& credentials, service::Caller caller) {
  do co_await credentials.change();
  while (co_await credentials.is_good(caller));
}

static Task<> until_refused(Services& services, service::Caller caller) {
  auto ends = services.shutdown.wait();
  auto revoked = until_revoked(services.credentials, std::move(caller));
  co_await async::first_of(std::move(ends), std::move(revoked));
}

static Task<> until_end(Reply& reply, Services& services, service::Caller caller) {
  auto gone = reply.client_gone();
  auto refused = until_refused(services, std::move(caller));
  co_await async::first_of(std::move(gone), std::move(refused));
}

Task<> Events::stream(Request& request, Reply& reply) {
  co_await serve(request, reply, caller_of(request).team.text());
}

Task<> Events::stream_all(Request& request, Reply& reply) {
  co_await serve(request, reply, std::string(EventFeed::kEveryTeam));
}

Task<> Events::serve(Request& request, Reply& reply, std::string team) {
  auto& feed = services_.notifier.feed;
  const auto seen = last_seen(request);
  if (!feed.ready() || feed.listeners() >= limits::kListeners)
    throw api::PublicError(ErrorCode::unavailable, 503, "overloaded",
                           "too many listeners, or none can be served yet; try again");
  EventFeed::Listener listener(feed, team);
  auto writer = co_await http::begin_sse(reply);
  auto writing = write(*writer, listener, team, seen.value_or(listener.begins_after()));
  auto end = until_end(reply, services_, caller_of(request));
  co_await async::first_of(std::move(writing), std::move(end));
  co_await writer->finish();
}

Task<> Events::write(http::BodyWriter& writer, EventFeed::Listener& listener, std::string team,
                     std::int64_t after) {
  co_await writer.write(fmt::format("retry: {}\n\n", limits::kReconnect.count()));
  for (;;) {
    const auto kept = co_await services_.notifier.feed.read(team, after, listener.begins_after());
    if (kept.empty()) break;
    std::string text;
    for (const auto& one : kept) text += *one.chunk;
    co_await writer.write(text);
    after = kept.back().seq;
  }
  for (;;) {
    const auto chunk = co_await listener.next(limits::kHeartbeat);
    co_await writer.write(chunk ? std::string_view(*chunk) : http::kSseHeartbeat);
  }
}

}  // namespace wrenn::cp::handlers
