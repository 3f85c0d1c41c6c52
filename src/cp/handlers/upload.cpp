#include "cp/handlers/upload.h"

#include "core/base/error.h"
#include "core/net/transfer_buffer.h"
#include "cp/limits.h"
#include "cp/service/admission.h"
#include "cp/service/failures.h"

namespace wrenn::cp::handlers {

using service::from_agent;

Task<std::size_t> LimitedBody::read_some(std::span<char> buffer) {
  const auto got = co_await inner_.read_some(buffer);
  read_ += got;
  if (read_ > limit_)
    throw_error(ErrorCode::too_large, "the upload is larger than {} MiB; files/stream/write has no limit",
                limits::kUploadBytes / (1024 * 1024));
  co_return got;
}

namespace {

// One write into the guest. When the guest refuses (a directory, a full disk) it may answer before we are
// done and close its end; then its answer says more than our broken pipe.
class GuestFile {
 public:
  GuestFile(api::EnvdClient& envd, std::unique_ptr<http::Exchange> exchange)
      : envd_(envd), exchange_(std::move(exchange)) {}

  Task<> write(std::string_view data) {
    std::exception_ptr failure;
    try {
      co_await exchange_->write(data);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    if (async::is_cancellation(failure)) std::rethrow_exception(failure);
    try {
      co_await envd_.finish_write(*exchange_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) failure = std::current_exception();
    }
    service::throw_agent_failure(failure);
  }

  Task<> finish() {
    auto call = envd_.finish_write(*exchange_);
    co_await from_agent(std::move(call));
  }

 private:
  api::EnvdClient& envd_;
  std::unique_ptr<http::Exchange> exchange_;
};

Task<GuestFile> open_file(api::EnvdClient& envd, std::string path) {
  auto call = envd.begin_write(std::move(path));
  auto exchange = co_await from_agent(std::move(call));
  co_return GuestFile(envd, std::move(exchange));
}

// The current part of the form, piece by piece. Until finish() the guest has an unfinished body: if the form
// turns out to be torn, the connection to it is cut and no short file passes for a whole one.
Task<> copy_part(http::Multipart& form, api::EnvdClient& envd, std::string path) {
  auto file = co_await open_file(envd, std::move(path));
  net::TransferBuffer buffer;
  for (;;) {
    const auto data = buffer.took(co_await form.read_some(buffer.space()));
    if (data.empty()) break;
    co_await file.write(data);
  }
  co_await file.finish();
}

Task<> write_whole(api::EnvdClient& envd, std::string path, std::string data) {
  auto file = co_await open_file(envd, std::move(path));
  if (!data.empty()) co_await file.write(data);
  co_await file.finish();
}

Task<std::string> spool(http::Multipart& form, std::uint64_t spool_bytes) {
  static constexpr std::string_view kRemedy = "send the part `path` before the part `file`";
  if (spool_bytes == 0)
    throw_error(ErrorCode::invalid_argument, "the file came before its path: {}", kRemedy);
  try {
    co_return co_await form.read_all(spool_bytes);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::too_large) throw;
  }
  throw_error(ErrorCode::invalid_argument, "a file of more than {} MiB came before its path: {}",
              spool_bytes / (1024 * 1024), kRemedy);
}

}  // namespace

Task<> upload(http::Body& body, std::string_view content_type, std::uint64_t spool_bytes,
              api::EnvdClient envd) {
  http::Multipart form(body, content_type);
  std::optional<std::string> path, spooled;
  bool written = false;
  while (const auto part = co_await form.next()) {
    if (part->name == "path") {
      if (path) throw_error(ErrorCode::invalid_argument, "the form has more than one part `path`");
      path = co_await form.read_all(limits::kGuestPathBytes + 1);
      service::admit_guest_path(*path);
    } else if (part->name == "file") {
      if (written || spooled)
        throw_error(ErrorCode::invalid_argument, "the form has more than one part `file`");
      if (path) {
        co_await copy_part(form, envd, *path);
        written = true;
      } else {
        spooled = co_await spool(form, spool_bytes);
      }
    }
  }
  if (!path) throw_error(ErrorCode::invalid_argument, "the form lacks the part `path`");
  if (!written && !spooled) throw_error(ErrorCode::invalid_argument, "the form lacks the part `file`");
  if (spooled) co_await write_whole(envd, *path, std::move(*spooled));
}

}  // namespace wrenn::cp::handlers
