#include "cp/routes.h"

#include "cp/handlers/admin.h"
#include "cp/handlers/api_keys.h"
#include "cp/handlers/audit_logs.h"
#include "cp/handlers/auth.h"
#include "cp/handlers/capsules.h"
#include "cp/handlers/channels.h"
#include "cp/handlers/checkpoints.h"
#include "cp/handlers/events.h"
#include "cp/handlers/exec.h"
#include "cp/handlers/exec_stream.h"
#include "cp/handlers/files.h"
#include "cp/handlers/hosts.h"
#include "cp/handlers/me.h"
#include "cp/handlers/metrics.h"
#include "cp/handlers/oauth.h"
#include "cp/handlers/processes.h"
#include "cp/handlers/pty.h"
#include "cp/handlers/system.h"
#include "cp/handlers/teams.h"
#include "cp/handlers/templates.h"
#include "cp/handlers/usage.h"
#include "cp/limits.h"

namespace wrenn::cp {

using handlers::Admin;
using handlers::ApiKeys;
using handlers::AuditLogs;
using handlers::Auth;
using handlers::CapsuleMetrics;
using handlers::Capsules;
using handlers::Channels;
using handlers::Checkpoints;
using handlers::Events;
using handlers::Exec;
using handlers::ExecStream;
using handlers::Files;
using handlers::Hosts;
using handlers::Me;
using handlers::Oauth;
using handlers::Processes;
using handlers::Pty;
using handlers::System;
using handlers::Teams;
using handlers::TeamUsage;
using handlers::Templates;

struct Routes::Handlers {
  explicit Handlers(Services& s)
      : services(s),
        server(s),
        capsules(s),
        checkpoints(s),
        exec(s),
        exec_stream(s),
        pty(s),
        admin_exec_stream(s, handlers::Audience::admins),
        admin_pty(s, handlers::Audience::admins),
        processes(s),
        metrics(s),
        usage(s),
        files(s),
        templates(s),
        auth(s),
        me(s),
        oauth(s),
        teams(s),
        api_keys(s),
        audit_logs(s),
        hosts(s),
        admin(s),
        channels(s),
        events(s) {}
  Services& services;
  System server;
  Capsules capsules;
  Checkpoints checkpoints;
  Exec exec;
  ExecStream exec_stream;
  Pty pty;
  ExecStream admin_exec_stream;
  Pty admin_pty;
  Processes processes;
  CapsuleMetrics metrics;
  TeamUsage usage;
  Files files;
  Templates templates;
  Auth auth;
  Me me;
  Oauth oauth;
  Teams teams;
  ApiKeys api_keys;
  AuditLogs audit_logs;
  Hosts hosts;
  Admin admin;
  Channels channels;
  Events events;
};

namespace {

template <typename Group>
using Method = Task<> (Group::*)(Request&, Reply&);

// Open to everybody, and nothing is read before. A WebSocket asks for credentials itself, for they may come
// in its first message.
template <typename Group>
http::Handler open(Group& group, Method<Group> method) {
  return [&group, method](Request& request, Reply& reply) { return (group.*method)(request, reply); };
}

// Whom a route is for: how he is known, and what he may send.
struct Who {
  using Require = Task<service::Caller> (Authenticator::*)(const http::Request&);
  Require require;  // null: he need not be known
  limits::BodyLimits body;
};
constexpr Who kStranger{nullptr, limits::kBodyOfStranger};
// API keys and users.
constexpr Who kAnybody{&Authenticator::require, limits::kBodyOfCaller};
// Users, of whatever role in their team: the services look at it.
constexpr Who kUser{&Authenticator::require_user, limits::kBodyOfCaller};
// Admins of the platform, working in its team.
constexpr Who kAdmin{&Authenticator::require_admin, limits::kBodyOfCaller};

Task<> identify(Services& services, const Who& who, Request& request) {
  if (who.require != nullptr) request.context = co_await (services.authenticator.*who.require)(request);
}

// The body of a request, once it is there: the handler finds it read.
class AdmittedBody {
 public:
  AdmittedBody(Request& request, std::string text)
      : request_(request), original_(request.body), body_(std::move(text)) {
    request_.body = &body_;
  }
  AdmittedBody(const AdmittedBody&) = delete;
  ~AdmittedBody() { request_.body = original_; }

 private:
  Request& request_;
  http::Body* const original_;
  WholeBody body_;
};

// What becomes of a request's body.
enum class Way {
  whole,      // read before the handler is asked
  once,       // the same, of what makes something: repeated with its Idempotency-Key it makes it once
  streaming,  // passed on by the handler while it arrives, however large: uploads
};
using enum Way;

Task<> admit(Services& services, const Who& who, Way way, const http::Handler& handler, Request& request,
             Reply& reply) {
  co_await identify(services, who, request);
  if (way == streaming) {
    co_await handler(request, reply);
    co_return;
  }
  std::string text;
  if (request.body->remaining() != 0) {
    text = co_await read_body(request, who.body.bytes, who.body.time);
    // Who has taken his time over it may have lost his rights meanwhile.
    co_await identify(services, who, request);
  }
  const AdmittedBody body(request, std::move(text));
  if (way == once) {
    auto caller = caller_of(request);
    co_await services.idempotency.run(request, reply, std::move(caller), handler);
  } else {
    co_await handler(request, reply);
  }
}

template <typename Group>
http::Handler asking(Services& services, const Who& who, Group& group, Method<Group> method,
                     Way way = whole) {
  return [&services, &who, way, handler = open(group, method)](Request& request, Reply& reply) {
    return admit(services, who, way, handler, request, reply);
  };
}

template <typename Group>
http::Handler strangers(Services& services, Group& group, Method<Group> method) {
  return asking(services, kStranger, group, method);
}

template <typename Group>
http::Handler keyed(Services& services, Group& group, Method<Group> method, Way way = whole) {
  return asking(services, kAnybody, group, method, way);
}

template <typename Group>
http::Handler signed_in(Services& services, Group& group, Method<Group> method, Way way = whole) {
  return asking(services, kUser, group, method, way);
}

template <typename Group>
http::Handler admins(Services& services, Group& group, Method<Group> method, Way way = whole) {
  return asking(services, kAdmin, group, method, way);
}

}  // namespace

Routes::Routes(Services& services) : handlers_(std::make_unique<Handlers>(services)) {
  auto& h = *handlers_;
  auto& s = services;
  router_.add("GET", "/health", open(h.server, &System::health));
  router_.add("GET", "/healthz", open(h.server, &System::health));
  router_.add("GET", "/readyz", open(h.server, &System::ready));
  router_.add("GET", "/openapi.yaml", open(h.server, &System::openapi));
  router_.add("GET", "/docs", open(h.server, &System::docs));
  router_.add("GET", "/metrics", open(h.server, &System::prometheus));

  router_.add("POST", "/v1/auth/signup", strangers(s, h.auth, &Auth::sign_up));
  router_.add("POST", "/v1/auth/login", strangers(s, h.auth, &Auth::log_in));
  router_.add("POST", "/v1/auth/activate", strangers(s, h.auth, &Auth::activate));
  router_.add("POST", "/v1/auth/logout", signed_in(s, h.auth, &Auth::log_out));
  router_.add("POST", "/v1/auth/switch-team", signed_in(s, h.auth, &Auth::switch_team));
  router_.add("POST", "/v1/me/password/reset", strangers(s, h.auth, &Auth::request_reset));
  router_.add("POST", "/v1/me/password/reset/confirm", strangers(s, h.auth, &Auth::confirm_reset));

  router_.add("GET", "/auth/oauth/{provider}", open(h.oauth, &Oauth::begin));
  router_.add("GET", "/auth/oauth/{provider}/callback", open(h.oauth, &Oauth::callback));
  router_.add("GET", "/v1/me/providers/{provider}/connect", signed_in(s, h.oauth, &Oauth::connect));

  router_.add("GET", "/v1/me", signed_in(s, h.me, &Me::get));
  router_.add("PATCH", "/v1/me", signed_in(s, h.me, &Me::rename));
  router_.add("DELETE", "/v1/me", signed_in(s, h.me, &Me::remove));
  router_.add("POST", "/v1/me/password", signed_in(s, h.me, &Me::change_password));
  router_.add("DELETE", "/v1/me/providers/{provider}", signed_in(s, h.me, &Me::disconnect));
  router_.add("GET", "/v1/users/search", signed_in(s, h.me, &Me::search_users));

  router_.add("GET", "/v1/teams", signed_in(s, h.teams, &Teams::list));
  router_.add("POST", "/v1/teams", signed_in(s, h.teams, &Teams::create, once));
  router_.add("GET", "/v1/teams/{id}", signed_in(s, h.teams, &Teams::get));
  router_.add("PATCH", "/v1/teams/{id}", signed_in(s, h.teams, &Teams::rename));
  router_.add("DELETE", "/v1/teams/{id}", signed_in(s, h.teams, &Teams::remove));
  router_.add("GET", "/v1/teams/{id}/members", signed_in(s, h.teams, &Teams::members));
  router_.add("POST", "/v1/teams/{id}/members", signed_in(s, h.teams, &Teams::add_member));
  router_.add("PATCH", "/v1/teams/{id}/members/{user}", signed_in(s, h.teams, &Teams::set_role));
  router_.add("DELETE", "/v1/teams/{id}/members/{user}", signed_in(s, h.teams, &Teams::remove_member));
  router_.add("POST", "/v1/teams/{id}/leave", signed_in(s, h.teams, &Teams::leave));

  router_.add("GET", "/v1/api-keys", signed_in(s, h.api_keys, &ApiKeys::list));
  router_.add("POST", "/v1/api-keys", signed_in(s, h.api_keys, &ApiKeys::create, once));
  router_.add("DELETE", "/v1/api-keys/{id}", signed_in(s, h.api_keys, &ApiKeys::revoke));
  router_.add("GET", "/v1/audit-logs", signed_in(s, h.audit_logs, &AuditLogs::list));

  router_.add("GET", "/v1/hosts", signed_in(s, h.hosts, &Hosts::list));
  router_.add("GET", "/v1/hosts/{id}", signed_in(s, h.hosts, &Hosts::get));
  router_.add("GET", "/v1/hosts/{id}/metrics", signed_in(s, h.hosts, &Hosts::metrics));

  router_.add("GET", "/v1/admin/teams", admins(s, h.admin, &Admin::teams));
  router_.add("PUT", "/v1/admin/teams/{id}/byoc", admins(s, h.admin, &Admin::set_byoc));
  router_.add("DELETE", "/v1/admin/teams/{id}", admins(s, h.admin, &Admin::remove_team));
  router_.add("GET", "/v1/admin/users", admins(s, h.admin, &Admin::users));
  router_.add("PUT", "/v1/admin/users/{id}/active", admins(s, h.admin, &Admin::set_active));
  router_.add("PUT", "/v1/admin/users/{id}/admin", admins(s, h.admin, &Admin::set_admin));
  router_.add("GET", "/v1/admin/audit-logs", admins(s, h.audit_logs, &AuditLogs::list));

  // What a team does with its capsules, admins do with the platform's.
  const auto add_capsules = [&](const std::string& at, const Who& who, ExecStream& streams, Pty& pty) {
    const auto one = at + "/{id}", files = one + "/files", processes = one + "/processes";
    router_.add("POST", at, asking(s, who, h.capsules, &Capsules::create, once));
    router_.add("GET", at, asking(s, who, h.capsules, &Capsules::list));
    router_.add("GET", one, asking(s, who, h.capsules, &Capsules::get));
    router_.add("DELETE", one, asking(s, who, h.capsules, &Capsules::destroy));
    router_.add("GET", one + "/metrics", asking(s, who, h.metrics, &CapsuleMetrics::get));
    router_.add("POST", one + "/exec", asking(s, who, h.exec, &Exec::exec));
    router_.add("GET", one + "/exec/stream", open(streams, &ExecStream::exec));
    router_.add("GET", one + "/pty", open(pty, &Pty::open));
    router_.add("GET", processes, asking(s, who, h.processes, &Processes::list));
    router_.add("DELETE", processes + "/{selector}", asking(s, who, h.processes, &Processes::kill));
    router_.add("GET", processes + "/{selector}/stream", open(streams, &ExecStream::connect));
    router_.add("POST", files + "/write", asking(s, who, h.files, &Files::write, streaming));
    router_.add("POST", files + "/read", asking(s, who, h.files, &Files::read));
    router_.add("POST", files + "/list", asking(s, who, h.files, &Files::list));
    router_.add("POST", files + "/mkdir", asking(s, who, h.files, &Files::make_dir));
    router_.add("POST", files + "/remove", asking(s, who, h.files, &Files::remove));
  };
  add_capsules("/v1/capsules", kAnybody, h.exec_stream, h.pty);
  add_capsules("/v1/admin/capsules", kAdmin, h.admin_exec_stream, h.admin_pty);
  router_.add("POST", "/v1/admin/capsules/{id}/snapshot",
              admins(s, h.templates, &Templates::turn_into, once));
  router_.add("GET", "/v1/admin/templates", admins(s, h.templates, &Templates::list_all));
  router_.add("DELETE", "/v1/admin/templates/{name}", admins(s, h.templates, &Templates::remove));
  router_.add("GET", "/v1/admin/events/stream", admins(s, h.events, &Events::stream_all));

  router_.add("GET", "/v1/capsules/stats", keyed(s, h.usage, &TeamUsage::stats));
  router_.add("GET", "/v1/capsules/usage", keyed(s, h.usage, &TeamUsage::usage));
  router_.add("POST", "/v1/capsules/{id}/pause", keyed(s, h.capsules, &Capsules::pause));
  router_.add("POST", "/v1/capsules/{id}/resume", keyed(s, h.capsules, &Capsules::resume));
  router_.add("POST", "/v1/capsules/{id}/fork", keyed(s, h.capsules, &Capsules::fork, once));
  router_.add("POST", "/v1/capsules/{id}/checkpoints",
              keyed(s, h.checkpoints, &Checkpoints::create, once));
  router_.add("GET", "/v1/capsules/{id}/checkpoints", keyed(s, h.checkpoints, &Checkpoints::list));
  router_.add("DELETE", "/v1/capsules/{id}/checkpoints/{checkpoint}",
              keyed(s, h.checkpoints, &Checkpoints::remove));
  router_.add("POST", "/v1/capsules/{id}/rollback", keyed(s, h.checkpoints, &Checkpoints::rollback));
  router_.add("POST", "/v1/capsules/{id}/ping", keyed(s, h.capsules, &Capsules::ping));
  router_.add("POST", "/v1/capsules/{id}/files/stream/write",
              keyed(s, h.files, &Files::stream_write, streaming));
  router_.add("POST", "/v1/capsules/{id}/files/stream/read", keyed(s, h.files, &Files::read));

  router_.add("POST", "/v1/channels", keyed(s, h.channels, &Channels::create, once));
  router_.add("GET", "/v1/channels", keyed(s, h.channels, &Channels::list));
  router_.add("POST", "/v1/channels/test", keyed(s, h.channels, &Channels::test));
  router_.add("GET", "/v1/channels/{id}", keyed(s, h.channels, &Channels::get));
  router_.add("PATCH", "/v1/channels/{id}", keyed(s, h.channels, &Channels::update));
  router_.add("PUT", "/v1/channels/{id}/config", keyed(s, h.channels, &Channels::replace_config));
  router_.add("DELETE", "/v1/channels/{id}", keyed(s, h.channels, &Channels::remove));
  router_.add("GET", "/v1/channels/{id}/deliveries", keyed(s, h.channels, &Channels::deliveries));
  router_.add("POST", "/v1/channels/{id}/deliveries/{event_id}/redeliver",
              keyed(s, h.channels, &Channels::redeliver));
  router_.add("GET", "/v1/events/stream", keyed(s, h.events, &Events::stream));

  router_.add("GET", "/v1/snapshots", keyed(s, h.templates, &Templates::list));
  router_.add("POST", "/v1/snapshots", keyed(s, h.templates, &Templates::create, once));
  router_.add("DELETE", "/v1/snapshots/{name}", keyed(s, h.templates, &Templates::remove));
}

Routes::~Routes() = default;

}  // namespace wrenn::cp
