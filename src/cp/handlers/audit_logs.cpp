#include "cp/handlers/audit_logs.h"

#include "core/base/text.h"
#include "core/http/query.h"
#include "cp/handlers/account_views.h"
#include "cp/limits.h"

namespace wrenn::cp::handlers {

// "?action=a&action=b,c": repeated or as lists.
static std::vector<std::string> values_of(const Request& request, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& text : http::query_values(request.query, name))
    for (const auto part : split(text, ','))
      if (!trim(part).empty()) values.emplace_back(trim(part));
  return values;
}

static std::int64_t limit_of(const Request& request) {
  const auto told = request.query_value("limit");
  if (!told) return limits::kAuditRows;
  const auto limit = parse_int<std::int64_t>(*told);
  if (!limit || *limit < 1 || *limit > limits::kAuditRowsMax)
    throw_error(ErrorCode::invalid_argument, "limit must be 1 to {}", limits::kAuditRowsMax);
  return *limit;
}

static std::optional<store::AuditCursor> cursor_of(const Request& request) {
  const auto before = request.query_value("before"), id = request.query_value("before_id");
  if (!before && !id) return std::nullopt;
  const auto at = before ? parse_rfc3339(*before) : std::nullopt;
  if (!at) throw_error(ErrorCode::invalid_argument, "before must be a time such as 2026-05-19T14:23:01Z");
  if (id && !model::AuditLogId::parse(*id)) throw_error(ErrorCode::invalid_argument, "invalid audit log ID");
  return store::AuditCursor{*at, id.value_or("")};
}

Task<> AuditLogs::list(Request& request, Reply& reply) {
  const auto& caller = caller_of(request);
  store::AuditFilter filter;
  filter.admin_scope = caller.role >= model::Role::admin;
  filter.resource_types = values_of(request, "resource_type");
  filter.actions = values_of(request, "action");
  const auto limit = limit_of(request);
  const auto behind = cursor_of(request);
  // One more than asked for tells whether there is another page.
  auto read = [&](db::Connection& connection) {
    return store::audit_page(connection, caller.team, filter, behind, limit + 1);
  };
  auto entries = co_await services_.database.read(read);
  api::AuditPage page;
  const bool more = entries.size() > static_cast<std::size_t>(limit);
  if (more) entries.pop_back();
  for (const auto& entry : entries) page.items.push_back(audit_view(entry));
  if (more) {
    page.next_before = page.items.back().created_at;
    page.next_before_id = page.items.back().id;
  }
  co_await send_json(reply, 200, page);
}

}  // namespace wrenn::cp::handlers
