// wrenn file …: files between this machine and a capsule, written ID:/path.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/capsules.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "core/http/multipart.h"
#include "core/json/writer.h"

namespace wrenn::cli {

namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

struct RemotePath {
  std::string id;
  std::string path;
};

RemotePath parse_remote(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos || colon + 1 == text.size())
    throw_error(ErrorCode::invalid_argument, "\"{}\": must be CAPSULE:PATH, e.g. cl-…:/root/data.csv", text);
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string path_body(const std::string& path) {
  std::string body;
  json::Writer writer(body);
  writer.begin_object();
  writer.member("path", path);
  writer.end_object();
  return body;
}

http::Headers json_fields() {
  http::Headers headers;
  headers.set("Content-Type", http::kJson);
  return headers;
}

// Local files are written beside their target and renamed, so that a broken transfer leaves no half file behind.
int get_file(const Context& context, const std::string& from, std::string to) {
  const auto remote = parse_remote(from);
  Api api(find_endpoint(context.endpoint));
  const bool to_stdout = to == "-";
  if (to.empty()) to = std::filesystem::path(remote.path).filename();
  if (!to_stdout && std::filesystem::is_directory(to)) to = to + "/" + std::filesystem::path(remote.path).filename().string();
  const std::string partial = to + ".part-" + random_hex(4);
  const int fd = to_stdout ? STDOUT_FILENO : ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) throw_errno("create {}", partial);
  ScopeGuard discard([&] {
    if (to_stdout) return;
    ::close(fd);
    ::unlink(partial.c_str());
  });
  const auto response = api.client().download(
      "POST", capsule_target(remote.id, "/files/stream/read"), json_fields(), path_body(remote.path),
      [fd](std::string_view piece) {
        while (!piece.empty()) {
          const ssize_t written = ::write(fd, piece.data(), piece.size());
          if (written < 0) throw_errno("write");
          piece.remove_prefix(static_cast<std::size_t>(written));
        }
        return true;
      });
  Api::expect_success(response);
  if (!to_stdout) {
    discard.dismiss();
    ::close(fd);
    if (::rename(partial.c_str(), to.c_str()) != 0) throw_errno("rename {} to {}", partial, to);
  }
  return 0;
}

int put_file(const Context& context, const std::string& from, const std::string& to) {
  auto remote = parse_remote(to);
  const bool from_stdin = from == "-";
  if (remote.path.ends_with('/')) {
    if (from_stdin) throw_error(ErrorCode::invalid_argument, "{}: name the file, standard input has no name", to);
    remote.path += std::filesystem::path(from).filename();
  }
  const int fd = from_stdin ? STDIN_FILENO : ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_errno("open {}", from);
  const ScopeGuard close_file([&] {
    if (!from_stdin) ::close(fd);
  });
  if (!from_stdin && std::filesystem::is_directory(from))
    throw_error(ErrorCode::invalid_argument, "{} is a directory; pack it, e.g. tar -c {} | wrenn file put - {}", from,
                from, to);
  Api api(find_endpoint(context.endpoint));
  const std::string boundary = "wrenn-" + random_hex(16);
  enum class Stage { path, content, done } stage = Stage::path;
  const auto response = api.client().upload(
      "POST", capsule_target(remote.id, "/files/stream/write"), {}, "multipart/form-data; boundary=" + boundary,
      [&](std::string& out) {
        switch (stage) {
          case Stage::path:
            out = http::multipart_head(boundary, "path", "") + remote.path +
                  http::multipart_head(boundary, "file", "upload");
            stage = Stage::content;
            return true;
          case Stage::content: {
            out.resize(kPieceBytes);
            const ssize_t got = ::read(fd, out.data(), out.size());
            if (got < 0) throw_errno("read {}", from);
            out.resize(static_cast<std::size_t>(got));
            if (got == 0) {
              out = http::multipart_tail(boundary);
              stage = Stage::done;
            }
            return true;
          }
          case Stage::done: return false;
        }
        return false;
      });
  Api::expect_success(response);
  return 0;
}

int list_files(const Context& context, const std::string& where, int depth) {
  const auto remote = parse_remote(where);
  Api api(find_endpoint(context.endpoint));
  std::string body;
  json::Writer writer(body);
  writer.begin_object();
  writer.member("path", remote.path);
  writer.member("depth", depth);
  writer.end_object();
  const auto answer = api.post(capsule_target(remote.id, "/files/list"), body);
  if (context.json) {
    print_json(answer);
    return 0;
  }
  Table table({"MODE", "OWNER", "SIZE", "NAME"});
  const auto* entries = answer.find("entries");
  if (const auto* array = entries ? entries->as_array() : nullptr) {
    for (const auto& entry : *array) {
      const auto* size = entry.find("size");
      std::string name(entry.text_of(depth > 1 ? "path" : "name"));
      if (!entry.text_of("symlink_target").empty()) name += " -> " + std::string(entry.text_of("symlink_target"));
      table.add({std::string(entry.text_of("permissions")), std::string(entry.text_of("owner")),
                 size_text(static_cast<double>(size ? size->as_int64().value_or(0) : 0)), name});
    }
  }
  print(table.text());
  return 0;
}

}  // namespace

void add_file_commands(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("file", "Copy files to and from capsules");
  group->require_subcommand(1);
  group->fallthrough();
  struct Options {
    std::string from, to;
    int depth = 1;
  };
  const auto options = std::make_shared<Options>();
  auto* get = group->add_subcommand("get", "Copy CAPSULE:PATH here");
  get->add_option("from", options->from, "CAPSULE:PATH")->required();
  get->add_option("to", options->to, "Local file or directory; - for standard output; default: the file's name");
  get->callback([&context, options] {
    context.action = [&context, options] { return get_file(context, options->from, options->to); };
  });
  auto* put = group->add_subcommand("put", "Copy a local file to CAPSULE:PATH");
  put->add_option("from", options->from, "Local file; - for standard input")->required();
  put->add_option("to", options->to, "CAPSULE:PATH")->required();
  put->callback([&context, options] {
    context.action = [&context, options] { return put_file(context, options->from, options->to); };
  });
  auto* list = group->add_subcommand("ls", "List a directory of a capsule");
  list->add_option("where", options->from, "CAPSULE:PATH")->required();
  list->add_option("--depth", options->depth, "Levels")->check(CLI::Range(1, 32));
  list->callback([&context, options] {
    context.action = [&context, options] { return list_files(context, options->from, options->depth); };
  });
}

}  // namespace wrenn::cli
