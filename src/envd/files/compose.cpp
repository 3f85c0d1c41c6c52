#include "envd/files/compose.h"

#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "api/envd.h"
#include "core/base/error.h"
#include "envd/files/open_file.h"
#include "envd/files/paths.h"
#include "envd/files/pending_file.h"
#include "envd/limits.h"
#include "envd/rpc.h"

namespace wrenn::envd::files {

using async::Task;

namespace {

std::uint64_t total_bytes(const std::vector<std::string>& sources, PageCache cache) {
  std::uint64_t total = 0;
  for (const std::string& source : sources) total += open_regular(source, cache).size;
  return total;
}

void append_file(PendingFile& target, const std::string& source, PageCache cache) {
  const OpenFile file = open_regular(source, cache);
  AlignedBytes bytes(limits::kTransferBytes);
  for (std::uint64_t at = 0; at < file.size;) {
    const std::span<char> piece = bytes.first(file.size - at);
    read_blocking(file, piece, at);
    target.append(piece);
    at += piece.size();
  }
}

// In place, and without its sources. What cannot be removed stays: the result is there.
void finish(PendingFile& target, const std::vector<std::string>& sources) {
  target.commit();
  struct stat result{};
  if (::stat(target.path().c_str(), &result) != 0) return;
  for (const std::string& source : std::set<std::string>(sources.begin(), sources.end())) {
    struct stat info{};
    if (::stat(source.c_str(), &info) != 0) continue;
    const bool is_result = info.st_dev == result.st_dev && info.st_ino == result.st_ino;
    if (!is_result) ::unlink(source.c_str());
  }
}

}  // namespace

Task<> compose(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
               const Defaults& defaults, PageCache cache) {
  const std::string body = co_await rpc::read_body(request, limits::kRpcBodyBytes);
  const auto message = json::from_json<api::envd::ComposeRequest>(body);
  if (message.source_paths.empty() || message.source_paths.size() > limits::kComposeSources)
    throw_error(ErrorCode::invalid_argument, "source_paths: from 1 to {} files", limits::kComposeSources);
  const User user = user_of(request, defaults, message.username);
  std::vector<std::string> sources;
  for (const std::string& path : message.source_paths)
    sources.push_back(resolve(path, user.home, defaults.workdir));
  const std::string destination = resolve(message.destination, user.home, defaults.workdir);

  auto open = [&] { return PendingFile(destination, user, total_bytes(sources, cache), cache); };
  PendingFile file = co_await async::offload(threads, std::move(open));
  for (const std::string& source : sources) {
    auto append = [&file, &source, cache] { append_file(file, source, cache); };
    co_await async::offload(threads, std::move(append));
  }
  auto end = [&file, &sources] {
    file.seal();
    finish(file, sources);
  };
  co_await async::offload(threads, std::move(end));
  const api::envd::UploadedFile made{.path = destination, .name = std::string(base_name(destination)), .metadata = {}};
  http::Response response = http::json_response(200, json::to_json(made));
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::envd::files
