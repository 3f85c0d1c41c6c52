#include "envd/files/upload.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "api/envd.h"
#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/http/multipart.h"
#include "envd/drain.h"
#include "envd/files/access.h"
#include "envd/files/gzip_transfer.h"
#include "envd/files/paths.h"
#include "envd/files/pending_file.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

using async::Task;

namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";  // RFC 1952 §2.3.1

// The current part of a multipart body, as a body.
class PartBody final : public http::Body {
 public:
  explicit PartBody(http::Multipart& parts) : parts_(parts) {}
  Task<std::size_t> read_some(std::span<char> buffer) override { return parts_.read_some(buffer); }
  std::optional<std::uint64_t> remaining() const noexcept override { return std::nullopt; }

 private:
  http::Multipart& parts_;
};

// Those received so far. Thrown away in the reverse order, so that a directory goes after what is in it.
struct Received {
  std::vector<PendingFile> files;
  const PageCache cache;
  Metadata metadata;
  explicit Received(PageCache page_cache) : cache(page_cache) {}
  ~Received() { discard(); }
  void discard() noexcept {
    while (!files.empty()) files.pop_back();
  }
  Received(const Received&) = delete;
  Received& operator=(const Received&) = delete;
};

struct Piece {
  AlignedBytes bytes{limits::kTransferBytes};
  std::size_t size = 0;
};

Task<> fill(http::Body& body, Piece& piece) {
  piece.size = 0;
  while (piece.size < limits::kTransferBytes) {
    const std::span<char> free = piece.bytes.first(limits::kTransferBytes).subspan(piece.size);
    const std::size_t got = co_await body.read_some(free);
    if (got == 0) break;
    piece.size += got;
  }
}

// Keeps a failure for later: the read of the body beside it must not be cancelled, or the connection could
// not be answered any more.
Task<> store(async::ThreadPool& threads, PendingFile& file, Piece& piece, std::exception_ptr& failure) {
  auto work = [&file, data = piece.bytes.first(piece.size)] { file.append(data); };
  try {
    co_await async::offload(threads, std::move(work));
  } catch (const Error&) {
    failure = std::current_exception();
  }
}

// Two pieces: while one is written by a pool thread, the next arrives.
Task<> receive(http::Body& body, async::ThreadPool& threads, PendingFile& file) {
  Piece arrived;
  co_await fill(body, arrived);
  std::optional<Piece> arriving;
  while (arrived.size > 0) {
    std::exception_ptr failure;
    const bool ended = arrived.size < limits::kTransferBytes;
    if (ended) {
      co_await store(threads, file, arrived, failure);
      if (failure) std::rethrow_exception(failure);
      break;
    }
    if (!arriving) arriving.emplace();
    auto storing = store(threads, file, arrived, failure);
    auto filling = fill(body, *arriving);
    co_await async::both(std::move(storing), std::move(filling));
    if (failure) std::rethrow_exception(failure);
    std::swap(arrived, *arriving);
  }
  auto seal = [&file] { file.seal(); };
  co_await async::offload(threads, std::move(seal));
}

Task<> receive_file(http::Body& body, async::ThreadPool& threads, std::string path, User user,
                    Received& received) {
  const PageCache cache = received.cache;
  const auto bytes = body.remaining();
  auto open = [&path, &user, bytes, cache, &metadata = received.metadata] {
    return PendingFile(path, user, bytes, cache, metadata);
  };
  PendingFile file = co_await async::offload(threads, std::move(open));
  received.files.push_back(std::move(file));
  co_await receive(body, threads, received.files.back());
}

std::string target_of(const http::Multipart::Part& part, const std::optional<std::string>& path) {
  if (path) return *path;
  if (part.filename && !part.filename->empty()) return *part.filename;
  throw_error(ErrorCode::invalid_argument,
              "a part \"file\" has no file name: give one, or the query parameter path");
}

// What is packed with gzip.
enum class Packed { nothing, each_part };

Task<> receive_parts(http::Request& request, http::Body& form, Packed packed, async::ThreadPool& threads,
                     const User& user, const Defaults& defaults, Received& received) {
  const auto asked = request.query_value("path");
  http::Multipart parts(form, request.headers.get("Content-Type").value_or(""));
  while (const auto part = co_await parts.next()) {
    if (part->name != "file") continue;
    std::string path = resolve(target_of(*part, asked), user.home, defaults.workdir);
    for (const PendingFile& file : received.files)
      if (file.path() == path)
        throw_error(ErrorCode::invalid_argument, "two parts for the same path '{}'", sanitize_utf8(path));
    PartBody body(parts);
    if (packed == Packed::nothing) {
      co_await receive_file(body, threads, std::move(path), user, received);
    } else {
      GzipBody content(body, threads);
      co_await receive_file(content, threads, std::move(path), user, received);
    }
  }
  if (received.files.empty()) throw_error(ErrorCode::invalid_argument, "the form has no part named \"file\"");
}

Task<> receive_form(http::Request& request, bool is_gzip, async::ThreadPool& threads, const User& user,
                    const Defaults& defaults, Received& received) {
  if (!is_gzip) {
    co_await receive_parts(request, *request.body, Packed::nothing, threads, user, defaults, received);
    co_return;
  }
  // E2B's clients pack the body, as HTTP has it; wrenn's first guest agent took packed parts in a plain body.
  // A form cannot begin with gzip's magic number.
  PeekedBody form(*request.body);
  if (co_await form.peek(kGzipMagic.size()) == kGzipMagic) {
    GzipBody content(form, threads);
    co_await receive_parts(request, content, Packed::nothing, threads, user, defaults, received);
  } else {
    co_await receive_parts(request, form, Packed::each_part, threads, user, defaults, received);
  }
}

bool is_gzip_coded(const http::Request& request) {
  const auto coding = request.headers.get("Content-Encoding");
  if (!coding || equals_ignoring_case(*coding, "identity")) return false;
  if (equals_ignoring_case(*coding, "gzip")) return true;
  throw_error(ErrorCode::invalid_argument, "Content-Encoding '{}': must be gzip or identity",
              sanitize_utf8(*coding));
}

Task<> receive_all(http::Request& request, async::ThreadPool& threads, const AccessToken& token,
                   const Defaults& defaults, Received& received) {
  const User user = authorize(request, Operation::write, token, defaults);
  const bool is_gzip = is_gzip_coded(request);
  received.metadata = metadata_of(request.headers);
  const std::string_view field = request.headers.get("Content-Type").value_or("");
  const std::string_view type = trim(field.substr(0, field.find(';')));
  if (equals_ignoring_case(type, "multipart/form-data")) {
    co_await receive_form(request, is_gzip, threads, user, defaults, received);
    co_return;
  }
  if (!equals_ignoring_case(type, http::kOctetStream))
    throw_error(ErrorCode::invalid_argument,
                "Content-Type: must be multipart/form-data or application/octet-stream");
  const auto asked = request.query_value("path");
  if (!asked || asked->empty())
    throw_error(ErrorCode::invalid_argument, "query parameter path is required with {}", http::kOctetStream);
  std::string path = resolve(*asked, user.home, defaults.workdir);
  if (is_gzip) {
    GzipBody content(*request.body, threads);
    co_await receive_file(content, threads, std::move(path), user, received);
  } else {
    co_await receive_file(*request.body, threads, std::move(path), user, received);
  }
}

std::string result_json(const std::vector<PendingFile>& files) {
  std::vector<api::envd::UploadedFile> uploaded;
  for (const PendingFile& file : files)
    uploaded.push_back(
        {.path = file.path(), .name = std::string(base_name(file.path())), .metadata = file.metadata()});
  return json::to_json(uploaded);
}

}  // namespace

Task<> upload(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
              const AccessToken& token, const Defaults& defaults, PageCache cache) {
  Received received(cache);
  std::exception_ptr failure;
  try {
    co_await receive_all(request, threads, token, defaults, received);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = std::current_exception();
  }
  if (failure) {
    received.discard();
    co_await drain(*request.body);
    std::rethrow_exception(failure);
  }
  auto commit = [&received] {
    for (PendingFile& file : received.files) file.commit();
  };
  co_await async::offload(threads, std::move(commit));
  http::Response response = http::json_response(200, result_json(received.files));
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::envd::files
