#include "cp/handlers/channels.h"

#include "core/base/text.h"
#include "cp/channels/limits.h"

namespace wrenn::cp::handlers {

namespace limits = channels::limits;

namespace {

api::Channel view_of(const store::Channel& row) {
  api::Channel view;
  view.id = row.id.text();
  view.team_id = row.team.text();
  view.name = row.name;
  view.provider = row.provider;
  view.events = row.events;
  view.created_at = to_rfc3339(row.created_at);
  view.updated_at = to_rfc3339(row.updated_at);
  return view;
}

api::Channel view_of(const service::Channels::Changed& changed) {
  auto view = view_of(changed.row);
  view.secret = changed.secret;
  return view;
}

api::Delivery view_of(const store::Delivery& row) {
  api::Delivery view;
  view.event_id = row.event_id;
  view.event = row.type;
  view.seq = row.seq;
  view.resource = row.resource;
  view.status = row.status;
  view.attempts = row.attempts;
  view.last_status = row.last_status;
  view.last_error = row.last_error;
  if (row.status == "pending") view.next_attempt_at = to_rfc3339(row.due_at);
  view.created_at = to_rfc3339(row.created_at);
  if (row.finished_at) view.finished_at = to_rfc3339(*row.finished_at);
  return view;
}

std::int64_t number_of(const Request& request, std::string_view name, std::int64_t otherwise,
                       std::int64_t most) {
  const auto text = request.query_value(name);
  if (!text) return otherwise;
  const auto number = parse_int<std::int64_t>(*text);
  if (!number || *number < 1 || *number > most)
    throw_error(ErrorCode::invalid_argument, "{}: must be a number from 1 to {}", name, most);
  return *number;
}

}  // namespace

Task<> Channels::create(Request& request, Reply& reply) {
  auto body = read_json<api::CreateChannel>(request);
  const auto made = co_await services_.notifier.channels.create(caller_of(request), std::move(body));
  reply.headers.set("Location", "/v1/channels/" + made.row.id.text());
  co_await send_json(reply, 201, view_of(made));
}

Task<> Channels::list(Request& request, Reply& reply) {
  const auto rows = co_await services_.notifier.channels.list(caller_of(request));
  std::vector<api::Channel> views;
  for (const auto& row : rows) views.push_back(view_of(row));
  co_await send_json(reply, 200, views);
}

Task<> Channels::get(Request& request, Reply& reply) {
  const auto id = path_id<model::ChannelId>(request, "id");
  const auto row = co_await services_.notifier.channels.get(caller_of(request), id);
  co_await send_json(reply, 200, view_of(row));
}

Task<> Channels::update(Request& request, Reply& reply) {
  const auto id = path_id<model::ChannelId>(request, "id");
  auto body = read_json<api::UpdateChannel>(request);
  const auto row = co_await services_.notifier.channels.update(caller_of(request), id, std::move(body));
  co_await send_json(reply, 200, view_of(row));
}

Task<> Channels::replace_config(Request& request, Reply& reply) {
  const auto id = path_id<model::ChannelId>(request, "id");
  auto body = read_json<api::ReplaceChannelConfig>(request);
  const auto changed =
      co_await services_.notifier.channels.replace_config(caller_of(request), id, std::move(body.config));
  co_await send_json(reply, 200, view_of(changed));
}

Task<> Channels::remove(Request& request, Reply& reply) {
  const auto id = path_id<model::ChannelId>(request, "id");
  co_await services_.notifier.channels.remove(caller_of(request), id);
  co_await send_no_content(reply);
}

Task<> Channels::test(Request& request, Reply& reply) {
  auto body = read_json<api::TestChannel>(request);
  co_await services_.notifier.channels.test(caller_of(request), std::move(body));
  auto response = http::json_response(200, R"({"status":"ok"})");
  co_await reply.send(std::move(response));
}

Task<> Channels::deliveries(Request& request, Reply& reply) {
  const auto id = path_id<model::ChannelId>(request, "id");
  const auto status = request.query_value("status").value_or("");
  if (!status.empty() && status != "pending" && status != "delivered" && status != "dead")
    throw_error(ErrorCode::invalid_argument, "status: must be pending, delivered or dead");
  const auto before = number_of(request, "before", 0, std::numeric_limits<std::int64_t>::max());
  const auto limit = number_of(request, "limit", limits::kDeliveriesPage, limits::kDeliveriesPageMost);
  const auto rows =
      co_await services_.notifier.channels.deliveries(caller_of(request), id, status, before, limit + 1);
  api::Deliveries view;
  for (const auto& row : rows) {
    if (static_cast<std::int64_t>(view.items.size()) == limit) {
      view.next_before = view.items.back().seq;
      break;
    }
    view.items.push_back(view_of(row));
  }
  co_await send_json(reply, 200, view);
}

Task<> Channels::redeliver(Request& request, Reply& reply) {
  const auto id = path_id<model::ChannelId>(request, "id");
  co_await services_.notifier.channels.redeliver(caller_of(request), id,
                                                 request.params.find("event_id")->second);
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
