// Every endpoint of envd, and the rule that stands before all of them: the access token.
#pragma once

#include "core/http/router.h"
#include "envd/auth.h"
#include "envd/files/aligned_bytes.h"
#include "envd/files/filesystem_service.h"
#include "envd/files/watch_service.h"
#include "envd/init_endpoint.h"
#include "envd/metrics.h"
#include "envd/process/service.h"
#include "envd/snapshot_hooks.h"

namespace wrenn::envd {

class Routes {
 public:
  // All must outlive this.
  Routes(bool in_guest, async::Executor executor, async::ThreadPool& threads, process::Table& processes,
         SnapshotHooks& snapshots);

  // What goes on in the background, until it is cancelled.
  async::Task<> run() { return init_.replace_keys(); }
  // Ends what runs by itself, before the server stops.
  async::Task<> stop() { return watches_.stop(); }

  async::Task<> handle(http::Request& request, http::Reply& reply);
  // {"code","message"} for what a plain endpoint throws and what the server refuses by itself.
  static http::Response render_error(int status, std::exception_ptr failure, const http::Request* request);

 private:
  async::Task<> health(http::Request& request, http::Reply& reply);
  async::Task<> metrics(http::Request& request, http::Reply& reply);
  async::Task<> envs(http::Request& request, http::Reply& reply);
  async::Task<> read_file(http::Request& request, http::Reply& reply);
  async::Task<> write_file(http::Request& request, http::Reply& reply);
  async::Task<> compose_files(http::Request& request, http::Reply& reply);

  const files::PageCache cache_;
  async::ThreadPool& threads_;
  SnapshotHooks& snapshots_;
  AccessToken token_;
  Defaults defaults_;
  MetricsSource metrics_;
  InitEndpoint init_;
  process::Service processes_;
  files::FilesystemService filesystem_;
  files::WatchService watches_;
  http::Router router_;
};

}  // namespace wrenn::envd
