// Two buffers: while one goes out to the socket, the next piece is read by a pool thread, because a read may
// wait for a disk. A piece that is in the page cache already, the usual case, is read at once on the loop
// thread (RWF_NOWAIT): 256 KiB take some 40 µs, less than two changes of thread.
#include "envd/files/download.h"

#include <algorithm>
#include <memory>
#include <span>

#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/answers.h"
#include "envd/files/accept_encoding.h"
#include "envd/files/access.h"
#include "envd/files/content_type.h"
#include "envd/files/gzip_transfer.h"
#include "envd/files/http_time.h"
#include "envd/files/open_file.h"
#include "envd/files/paths.h"
#include "envd/files/range.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

using async::Task;

namespace {

Task<> read_piece(async::ThreadPool& threads, const OpenFile& file, std::span<char> into,
                  std::uint64_t offset) {
  const std::size_t cached = read_cached(file, into, offset);
  if (cached == into.size()) co_return;
  auto work = [&file, rest = into.subspan(cached), from = offset + cached] {
    read_blocking(file, rest, from);
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
    if (read_cached(file, next, at) == next.size()) {
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

// A part of a file, or its state, is that of its bytes as they are.
bool is_about_bytes(const http::Request& request) {
  for (const char* field :
       {"Range", "If-Range", "If-Modified-Since", "If-Unmodified-Since", "If-Match", "If-None-Match"})
    if (request.headers.has(field)) return true;
  return false;
}

enum class Coding { identity, gzip, none };

Coding choose_coding(const http::Request& request, const OpenFile& file) {
  const AcceptedCodings accepted = accepted_codings(request.headers.get("Accept-Encoding"));
  const bool is_empty =
      file.size == 0 && file.unsized_content.empty();  // clients know it by Content-Length: 0
  const bool wants_gzip = accepted.identity ? accepted.prefers_gzip && !is_empty : accepted.gzip;
  if (wants_gzip && !is_about_bytes(request)) return Coding::gzip;
  return accepted.identity ? Coding::identity : Coding::none;
}

// The file piece by piece, as long as it was when it was opened.
class FilePieces {
 public:
  explicit FilePieces(const OpenFile& file)
      : file_(file),
        bytes_(std::make_shared<AlignedBytes>(
            static_cast<std::size_t>(std::min<std::uint64_t>(file.size, limits::kTransferBytes)))) {}

  std::span<const char> operator()() {
    if (!file_.unsized_content.empty()) return std::exchange(unsized_, {});
    const std::span<char> piece = bytes_->first(file_.size - at_);
    if (!piece.empty()) read_blocking(file_, piece, at_);
    at_ += piece.size();
    return piece;
  }

 private:
  const OpenFile& file_;
  std::shared_ptr<AlignedBytes> bytes_;  // a std::function copies what it holds
  std::span<const char> unsized_{file_.unsized_content};
  std::uint64_t at_ = 0;
};

Task<> send_gzip(http::Reply& reply, async::ThreadPool& threads, http::Headers fields, const OpenFile& file) {
  fields.set("Content-Encoding", "gzip");
  fields.set("Last-Modified", to_http_time(file.modified));
  const auto writer = co_await reply.stream(200, std::move(fields));
  Source source = FilePieces(file);
  co_await send_packed(*writer, threads, std::move(source));
  co_await writer->finish();
}

}  // namespace

Task<> download(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
                const AccessToken& token, const Defaults& defaults, PageCache cache) {
  const User user = authorize(request, Operation::read, token, defaults);
  const std::string path = resolve(request.query_value("path").value_or(""), user.home, defaults.workdir);
  auto work = [path, cache] { return open_regular(path, cache); };
  const OpenFile file = co_await async::offload(threads, std::move(work));

  http::Headers fields;
  const std::string_view name = base_name(path);
  fields.set("Content-Type", content_type_of(name));
  fields.set("Content-Disposition", content_disposition(name));
  fields.set("Vary", "Accept-Encoding");
  const Coding coding = choose_coding(request, file);
  if (coding == Coding::none) {
    auto response = plain_error(406, "no acceptable encoding found, supported: [identity, gzip]");
    co_await reply.send(std::move(response));
    co_return;
  }
  if (coding == Coding::gzip) {
    co_await send_gzip(reply, threads, std::move(fields), file);
    co_return;
  }
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
