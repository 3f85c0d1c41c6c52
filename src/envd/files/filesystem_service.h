// filesystem.Filesystem: Stat, MakeDir, Move, ListDir, Remove (spec/envd.md §10.2, spec/e2b/envd-api.md §5).
// All of it runs on pool threads, for a file system may take its time.
#pragma once

#include "api/envd.h"
#include "core/async/offload.h"
#include "core/http/router.h"
#include "envd/defaults.h"

namespace wrenn::envd::files {

class FilesystemService {
 public:
  // Both must outlive this.
  FilesystemService(async::ThreadPool& threads, const Defaults& defaults)
      : threads_(threads), defaults_(defaults) {}

  // Adds the routes; this must outlive the router.
  void add_routes(http::Router& router);

 private:
  using Call = const http::Request&;
  template <typename T = void>
  using Task = async::Task<T>;

  Task<api::envd::EntryResponse> stat(api::envd::PathRequest message, Call call);
  Task<api::envd::EntryResponse> make_dir(api::envd::PathRequest message, Call call);
  Task<api::envd::EntryResponse> move(api::envd::MoveRequest message, Call call);
  Task<std::string> list_dir(api::envd::ListDirRequest message, Call call);
  Task<api::envd::Empty> remove(api::envd::PathRequest message, Call call);

  std::string resolve(const std::string& path, const User& user) const;

  async::ThreadPool& threads_;
  const Defaults& defaults_;
};

}  // namespace wrenn::envd::files
