#include "envd/files/filesystem_service.h"

#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/files/directories.h"
#include "envd/files/entry.h"
#include "envd/files/listing.h"
#include "envd/files/move.h"
#include "envd/files/paths.h"
#include "envd/rpc.h"
#include "linux/file.h"

namespace wrenn::envd::files {

namespace wire = api::envd;

namespace {

wire::EntryResponse make_directory(const std::string& path, const User& user) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode))
      throw_error(ErrorCode::already_exists, "directory '{}' exists already", sanitize_utf8(path));
    throw_error(ErrorCode::invalid_argument, "path '{}' exists and is not a directory", sanitize_utf8(path));
  }
  auto made = MadeDirectories::make(path, user);
  wire::EntryResponse response{entry_at(path)};
  made.keep();
  return response;
}

wire::EntryResponse move_entry(const std::string& source, const std::string& destination, const User& user) {
  move_tree(source, destination, user);
  return {entry_at(destination)};
}

// E2B's clients expect that to remove what is not there succeeds (their own tests do); wrenn's API answers
// 404.
enum class Missing { is_fine, is_error };

Missing missing_for(const http::Request& call) {
  const bool is_e2b =
      call.headers.has("E2b-Sandbox-Id") || call.headers.get("User-Agent").value_or("").starts_with("e2b-");
  return is_e2b ? Missing::is_fine : Missing::is_error;
}

void remove_entry(const std::string& path, Missing missing) {
  if (path == "/") throw_error(ErrorCode::invalid_argument, "path '/': the root cannot be removed");
  if (!sys::remove_tree(path) && missing == Missing::is_error)
    throw_error(ErrorCode::not_found, "path '{}' does not exist", sanitize_utf8(path));
}

}  // namespace

void FilesystemService::add_routes(http::Router& router) {
  router.add("POST", "/filesystem.Filesystem/Stat", rpc::unary(this, &FilesystemService::stat));
  router.add("POST", "/filesystem.Filesystem/MakeDir", rpc::unary(this, &FilesystemService::make_dir));
  router.add("POST", "/filesystem.Filesystem/Move", rpc::unary(this, &FilesystemService::move));
  router.add("POST", "/filesystem.Filesystem/ListDir", rpc::unary(this, &FilesystemService::list_dir));
  router.add("POST", "/filesystem.Filesystem/Remove", rpc::unary(this, &FilesystemService::remove));
}

std::string FilesystemService::resolve(const std::string& path, const User& user) const {
  return files::resolve(path, user.home, defaults_.workdir);
}

auto FilesystemService::stat(wire::PathRequest message, Call call) -> Task<wire::EntryResponse> {
  auto work = [path = resolve(message.path, user_of(call, defaults_))] {
    return wire::EntryResponse{entry_at(path)};
  };
  co_return co_await async::offload(threads_, std::move(work));
}

auto FilesystemService::make_dir(wire::PathRequest message, Call call) -> Task<wire::EntryResponse> {
  const User user = user_of(call, defaults_);
  auto work = [path = resolve(message.path, user), user] { return make_directory(path, user); };
  co_return co_await async::offload(threads_, std::move(work));
}

auto FilesystemService::move(wire::MoveRequest message, Call call) -> Task<wire::EntryResponse> {
  const User user = user_of(call, defaults_);
  auto work = [source = resolve(message.source, user), destination = resolve(message.destination, user),
               user] { return move_entry(source, destination, user); };
  co_return co_await async::offload(threads_, std::move(work));
}

auto FilesystemService::list_dir(wire::ListDirRequest message, Call call) -> Task<std::string> {
  auto work = [path = resolve(message.path, user_of(call, defaults_)), depth = message.depth] {
    return list_json(path, depth);
  };
  co_return co_await async::offload(threads_, std::move(work));
}

auto FilesystemService::remove(wire::PathRequest message, Call call) -> Task<wire::Empty> {
  auto work = [path = resolve(message.path, user_of(call, defaults_)), missing = missing_for(call)] {
    remove_entry(path, missing);
  };
  co_await async::offload(threads_, std::move(work));
  co_return wire::Empty{};
}

}  // namespace wrenn::envd::files
