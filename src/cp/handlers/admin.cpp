#include "cp/handlers/admin.h"

#include "core/base/text.h"
#include "cp/handlers/account_views.h"
#include "cp/limits.h"

namespace wrenn::cp::handlers {

// A page that is none is the first (spec/rest-api.md §0).
static std::int64_t page_of(const Request& request) {
  static constexpr std::int64_t kLast = 1'000'000;
  const auto page = parse_int<std::int64_t>(request.query_value("page").value_or(""));
  return page && *page >= 1 && *page <= kLast ? *page : 1;
}

template <typename View, typename Row>
static void describe_page(View& view, const service::Page<Row>& page) {
  view.total = page.total;
  view.page = page.number;
  view.per_page = limits::kAdminPageRows;
  view.total_pages = (page.total + limits::kAdminPageRows - 1) / limits::kAdminPageRows;
}

Task<> Admin::teams(Request& request, Reply& reply) {
  const auto page = co_await services_.administration.teams(page_of(request));
  api::AdminTeams view;
  for (const auto& one : page.rows) view.teams.push_back(admin_team_view(one));
  describe_page(view, page);
  co_await send_json(reply, 200, view);
}

Task<> Admin::set_byoc(Request& request, Reply& reply) {
  const auto team = path_id<model::TeamId>(request, "id");
  const auto body = read_json<api::Enabled>(request);
  if (!body.enabled)
    throw_error(ErrorCode::invalid_argument,
                "a team that has hosts of its own stays so; enabled must be true");
  co_await services_.administration.set_byoc(caller_of(request), team);
  co_await send_no_content(reply);
}

Task<> Admin::remove_team(Request& request, Reply& reply) {
  co_await services_.administration.remove_team(caller_of(request), path_id<model::TeamId>(request, "id"));
  co_await send_no_content(reply);
}

Task<> Admin::users(Request& request, Reply& reply) {
  const auto page = co_await services_.administration.users(page_of(request));
  api::AdminUsers view;
  for (const auto& one : page.rows) view.users.push_back(admin_user_view(one));
  describe_page(view, page);
  co_await send_json(reply, 200, view);
}

Task<> Admin::set_active(Request& request, Reply& reply) {
  const auto user = path_id<model::UserId>(request, "id");
  const auto body = read_json<api::Active>(request);
  co_await services_.administration.set_active(caller_of(request), user, body.active);
  co_await send_no_content(reply);
}

Task<> Admin::set_admin(Request& request, Reply& reply) {
  const auto user = path_id<model::UserId>(request, "id");
  const auto body = read_json<api::Admin>(request);
  co_await services_.administration.set_admin(caller_of(request), user, body.admin);
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
