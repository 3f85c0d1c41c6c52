// Two buffers: while one goes out to the socket, the next piece is read by a pool thread, because a read may
// wait for a disk. A piece that is in the page cache already, the usual case, is read at once on the loop
// thread (RWF_NOWAIT): 256 KiB take some 40 µs, less than two changes of thread.
#include "envd/files/download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <memory>
#include <span>

#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/files/content_type.h"
#include "envd/files/http_time.h"
#include "envd/files/path_error.h"
#include "envd/files/paths.h"
#include "envd/files/range.h"
#include "envd/limits.h"
#include "linux/fd.h"

namespace wrenn::envd::files {

using async::Task;

namespace {

constexpr std::size_t kUnsizedBytes = 4 * 1024 * 1024;  // of a file whose size the kernel does not tell

struct OpenFile {
  sys::Fd fd;
  sys::Fd direct;  // the same file past the page cache; invalid where that cannot be or need not
  std::uint64_t size = 0;
  std::time_t modified = 0;
  std::string unsized_content;  // when size is 0 and there is something nevertheless
};

// O_NONBLOCK: a FIFO must not hold us up.
OpenFile open_regular(const std::string& path, PageCache cache) {
  OpenFile file;
  file.fd = sys::Fd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.fd.valid()) throw_path_error("open", path);
  struct stat info{};
  if (::fstat(file.fd.get(), &info) != 0) throw_path_error("look at", path);
  if (S_ISDIR(info.st_mode))
    throw_error(ErrorCode::invalid_argument, "path '{}' is a directory", sanitize_utf8(path));
  if (!S_ISREG(info.st_mode))
    throw_error(ErrorCode::invalid_argument, "path '{}' is not a regular file", sanitize_utf8(path));
  file.size = static_cast<std::uint64_t>(info.st_size);
  file.modified = info.st_mtim.tv_sec;
  if (file.size == 0) file.unsized_content = sys::read_up_to(file.fd, kUnsizedBytes);
  if (cache == PageCache::avoid && file.size >= limits::kTransferBytes) {
    const std::string same = fmt::format("/proc/self/fd/{}", file.fd.get());
    file.direct = sys::Fd::adopt(::open(same.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
  }
  return file;
}

// What of `into` could be read without waiting.
std::size_t read_cached(sys::FdView file, std::span<char> into, std::uint64_t offset) noexcept {
  iovec piece{into.data(), into.size()};
  const ssize_t got = ::preadv2(file.get(), &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

Task<> read_piece(async::ThreadPool& threads, const OpenFile& file, std::span<char> into,
                  std::uint64_t offset) {
  const std::size_t cached = read_cached(file.fd, into, offset);
  if (cached == into.size()) co_return;
  const auto rest = into.subspan(cached);
  const bool direct = file.direct.valid() && fits_direct(rest, offset);
  auto work = [&fd = direct ? file.direct : file.fd, rest, from = offset + cached] {
    sys::pread_full(fd, std::as_writable_bytes(rest), from);
  };
  co_await async::offload(threads, std::move(work));
}

Task<> send_range(http::BodyWriter& writer, async::ThreadPool& threads, const OpenFile& file,
                  ByteRange range) {
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(range.length, limits::kTransferBytes));
  AlignedBytes going(bytes), coming(range.length > bytes ? bytes : 0);
  std::uint64_t at = range.first;
  std::uint64_t left = range.length;
  std::span<char> piece = going.first(left);
  co_await read_piece(threads, file, piece, at);
  for (;;) {
    at += piece.size();
    left -= piece.size();
    const std::string_view out(piece.data(), piece.size());
    if (left == 0) {
      co_await writer.write(out);
      co_return;
    }
    const std::span<char> next = coming.first(left);
    auto writing = writer.write(out);
    if (read_cached(file.fd, next, at) == next.size()) {
      co_await std::move(writing);
    } else {
      auto reading = read_piece(threads, file, next, at);
      co_await async::both(std::move(writing), std::move(reading));
    }
    piece = next;
    std::swap(going, coming);
  }
}

bool is_unchanged(const http::Request& request, std::time_t modified) {
  const auto field = request.headers.get("If-Modified-Since");
  const auto since = field ? parse_http_time(*field) : std::nullopt;
  return since && modified <= *since;
}

// The Range field, unless If-Range says that the client has another version.
std::optional<std::string_view> range_field(const http::Request& request, std::time_t modified) {
  const auto condition = request.headers.get("If-Range");
  if (condition && parse_http_time(*condition) != modified) return std::nullopt;
  return request.headers.get("Range");
}

}  // namespace

Task<> download(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
                const Defaults& defaults, PageCache cache) {
  const User user = user_of(request, defaults, request.query_value("username"));
  const std::string path = resolve(request.query_value("path").value_or(""), user.home, defaults.workdir);
  auto work = [path, cache] { return open_regular(path, cache); };
  const OpenFile file = co_await async::offload(threads, std::move(work));

  http::Headers fields;
  const std::string_view name = base_name(path);
  fields.set("Content-Type", content_type_of(name));
  fields.set("Content-Disposition", content_disposition(name));
  fields.set("Vary", "Accept-Encoding");  // gzip comes with E2B compatibility; caches must know before
  if (!file.unsized_content.empty()) {
    http::Response response{200, std::move(fields), file.unsized_content};
    co_await reply.send(std::move(response));
    co_return;
  }
  fields.set("Accept-Ranges", "bytes");
  fields.set("Last-Modified", to_http_time(file.modified));
  if (is_unchanged(request, file.modified)) {
    http::Response response{304, std::move(fields), ""};
    co_await reply.send(std::move(response));
    co_return;
  }
  const Selection selection = select_range(range_field(request, file.modified), file.size);
  if (selection.kind == Selection::Kind::unsatisfiable) {
    fields.set("Content-Range", fmt::format("bytes */{}", file.size));
    http::Response response{416, std::move(fields), ""};
    co_await reply.send(std::move(response));
    co_return;
  }
  const ByteRange range = selection.range;
  const bool is_part = selection.kind == Selection::Kind::part;
  if (is_part)
    fields.set("Content-Range",
               fmt::format("bytes {}-{}/{}", range.first, range.first + range.length - 1, file.size));
  const auto writer = co_await reply.stream(is_part ? 206 : 200, std::move(fields), range.length);
  if (range.length > 0) co_await send_range(*writer, threads, file, range);
  co_await writer->finish();
}

}  // namespace wrenn::envd::files
