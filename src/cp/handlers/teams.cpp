#include "cp/handlers/teams.h"

#include "cp/handlers/account_views.h"

namespace wrenn::cp::handlers {

static model::TeamId team_of(const Request& request) {
  return path_id<model::TeamId>(request, "id");
}

static std::vector<api::Member> member_views(const std::vector<store::Member>& members) {
  std::vector<api::Member> views;
  for (const auto& one : members) views.push_back(member_view(one));
  return views;
}

Task<> Teams::list(Request& request, Reply& reply) {
  const auto teams = co_await services_.teams.list(caller_of(request));
  std::vector<api::Team> view;
  for (const auto& one : teams) view.push_back(team_view(one));
  co_await send_json(reply, 200, view);
}

Task<> Teams::create(Request& request, Reply& reply) {
  auto body = read_json<api::NameOnly>(request);
  const auto joined = co_await services_.teams.create(caller_of(request), std::move(body.name));
  co_await send_json(reply, 201, team_view(joined));
}

Task<> Teams::get(Request& request, Reply& reply) {
  const auto detail = co_await services_.teams.get(caller_of(request), team_of(request));
  const api::TeamDetail view{team_view(detail.team), member_views(detail.members)};
  co_await send_json(reply, 200, view);
}

Task<> Teams::rename(Request& request, Reply& reply) {
  const auto team = team_of(request);
  auto body = read_json<api::NameOnly>(request);
  co_await services_.teams.rename(caller_of(request), team, std::move(body.name));
  co_await send_no_content(reply);
}

Task<> Teams::remove(Request& request, Reply& reply) {
  co_await services_.teams.remove(caller_of(request), team_of(request));
  co_await send_no_content(reply);
}

Task<> Teams::members(Request& request, Reply& reply) {
  const auto detail = co_await services_.teams.get(caller_of(request), team_of(request));
  co_await send_json(reply, 200, member_views(detail.members));
}

Task<> Teams::add_member(Request& request, Reply& reply) {
  const auto team = team_of(request);
  auto body = read_json<api::AddMember>(request);
  const auto member = co_await services_.teams.add_member(caller_of(request), team, std::move(body.email));
  co_await send_json(reply, 201, member_view(member));
}

Task<> Teams::set_role(Request& request, Reply& reply) {
  const auto team = team_of(request);
  const auto user = path_id<model::UserId>(request, "user");
  auto body = read_json<api::SetRole>(request);
  co_await services_.teams.set_role(caller_of(request), team, user, std::move(body.role));
  co_await send_no_content(reply);
}

Task<> Teams::remove_member(Request& request, Reply& reply) {
  const auto user = path_id<model::UserId>(request, "user");
  co_await services_.teams.remove_member(caller_of(request), team_of(request), user);
  co_await send_no_content(reply);
}

Task<> Teams::leave(Request& request, Reply& reply) {
  co_await services_.teams.leave(caller_of(request), team_of(request));
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
