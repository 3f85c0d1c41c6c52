#include "cp/routes.h"

#include "cp/handlers/capsules.h"
#include "cp/handlers/checkpoints.h"
#include "cp/handlers/exec.h"
#include "cp/handlers/exec_stream.h"
#include "cp/handlers/files.h"
#include "cp/handlers/metrics.h"
#include "cp/handlers/processes.h"
#include "cp/handlers/pty.h"
#include "cp/handlers/system.h"
#include "cp/handlers/templates.h"

namespace wrenn::cp {

using handlers::CapsuleMetrics;
using handlers::Capsules;
using handlers::Checkpoints;
using handlers::Exec;
using handlers::ExecStream;
using handlers::Files;
using handlers::Processes;
using handlers::Pty;
using handlers::System;
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
        processes(s),
        metrics(s),
        files(s),
        templates(s) {}
  Services& services;
  System server;
  Capsules capsules;
  Checkpoints checkpoints;
  Exec exec;
  ExecStream exec_stream;
  Pty pty;
  Processes processes;
  CapsuleMetrics metrics;
  Files files;
  Templates templates;
};

namespace {

template <typename Group>
using Method = Task<> (Group::*)(Request&, Reply&);

// Open to everybody; a WebSocket asks for credentials itself, for they may come in its first message.
template <typename Group>
http::Handler open(Group& group, Method<Group> method) {
  return [&group, method](Request& request, Reply& reply) { return (group.*method)(request, reply); };
}

template <typename Group>
Task<> ask_for_key(Services& services, Group& group, Method<Group> method, Request& request, Reply& reply) {
  request.context = co_await services.authenticator.require(request);
  co_await (group.*method)(request, reply);
}

template <typename Group>
http::Handler keyed(Services& services, Group& group, Method<Group> method) {
  return [&services, &group, method](Request& request, Reply& reply) {
    return ask_for_key(services, group, method, request, reply);
  };
}

}  // namespace

Routes::Routes(Services& services) : handlers_(std::make_unique<Handlers>(services)) {
  auto& h = *handlers_;
  auto& s = services;
  router_.add("GET", "/health", open(h.server, &System::health));
  router_.add("GET", "/openapi.yaml", open(h.server, &System::openapi));
  router_.add("GET", "/metrics", open(h.server, &System::prometheus));

  router_.add("POST", "/v1/capsules", keyed(s, h.capsules, &Capsules::create));
  router_.add("GET", "/v1/capsules", keyed(s, h.capsules, &Capsules::list));
  router_.add("GET", "/v1/capsules/{id}", keyed(s, h.capsules, &Capsules::get));
  router_.add("DELETE", "/v1/capsules/{id}", keyed(s, h.capsules, &Capsules::destroy));
  router_.add("POST", "/v1/capsules/{id}/pause", keyed(s, h.capsules, &Capsules::pause));
  router_.add("POST", "/v1/capsules/{id}/resume", keyed(s, h.capsules, &Capsules::resume));
  router_.add("POST", "/v1/capsules/{id}/fork", keyed(s, h.capsules, &Capsules::fork));
  router_.add("POST", "/v1/capsules/{id}/checkpoints", keyed(s, h.checkpoints, &Checkpoints::create));
  router_.add("GET", "/v1/capsules/{id}/checkpoints", keyed(s, h.checkpoints, &Checkpoints::list));
  router_.add("DELETE", "/v1/capsules/{id}/checkpoints/{checkpoint}",
              keyed(s, h.checkpoints, &Checkpoints::remove));
  router_.add("POST", "/v1/capsules/{id}/rollback", keyed(s, h.checkpoints, &Checkpoints::rollback));
  router_.add("POST", "/v1/capsules/{id}/ping", keyed(s, h.capsules, &Capsules::ping));
  router_.add("GET", "/v1/capsules/{id}/metrics", keyed(s, h.metrics, &CapsuleMetrics::get));

  router_.add("POST", "/v1/capsules/{id}/exec", keyed(s, h.exec, &Exec::exec));
  router_.add("GET", "/v1/capsules/{id}/exec/stream", open(h.exec_stream, &ExecStream::exec));
  router_.add("GET", "/v1/capsules/{id}/pty", open(h.pty, &Pty::open));
  router_.add("GET", "/v1/capsules/{id}/processes", keyed(s, h.processes, &Processes::list));
  router_.add("DELETE", "/v1/capsules/{id}/processes/{selector}", keyed(s, h.processes, &Processes::kill));
  router_.add("GET", "/v1/capsules/{id}/processes/{selector}/stream",
              open(h.exec_stream, &ExecStream::connect));

  router_.add("POST", "/v1/capsules/{id}/files/write", keyed(s, h.files, &Files::write));
  router_.add("POST", "/v1/capsules/{id}/files/read", keyed(s, h.files, &Files::read));
  router_.add("POST", "/v1/capsules/{id}/files/stream/write", keyed(s, h.files, &Files::stream_write));
  router_.add("POST", "/v1/capsules/{id}/files/stream/read", keyed(s, h.files, &Files::read));
  router_.add("POST", "/v1/capsules/{id}/files/list", keyed(s, h.files, &Files::list));
  router_.add("POST", "/v1/capsules/{id}/files/mkdir", keyed(s, h.files, &Files::make_dir));
  router_.add("POST", "/v1/capsules/{id}/files/remove", keyed(s, h.files, &Files::remove));

  router_.add("GET", "/v1/snapshots", keyed(s, h.templates, &Templates::list));
  router_.add("POST", "/v1/snapshots", keyed(s, h.templates, &Templates::create));
  router_.add("DELETE", "/v1/snapshots/{name}", keyed(s, h.templates, &Templates::remove));
}

Routes::~Routes() = default;

}  // namespace wrenn::cp
