#include "cp/handlers/files.h"

#include "api/errors.h"
#include "core/net/transfer_buffer.h"
#include "cp/handlers/upload.h"
#include "cp/handlers/views.h"
#include "cp/limits.h"
#include "cp/service/admission.h"
#include "cp/service/failures.h"

namespace wrenn::cp::handlers {

using service::from_agent;

static std::string content_type_of(const Request& request) {
  return std::string(request.headers.get("Content-Type").value_or(""));
}

Task<> Files::write(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  constexpr auto kLimit = limits::kUploadBytes + limits::kUploadSlackBytes;
  const auto announced = request.body->remaining();
  if (announced && *announced > kLimit)
    throw api::PublicError(ErrorCode::too_large, 413, "too_large",
                           fmt::format("the upload is larger than {} MiB; files/stream/write has no limit",
                                       limits::kUploadBytes / (1024 * 1024)));
  LimitedBody body(*request.body, kLimit);
  const auto type = content_type_of(request);
  co_await upload(body, type, limits::kUploadSpoolBytes, capsule.envd);
  services_.capsules.note_activity(id);
  co_await send_no_content(reply);
}

Task<> Files::stream_write(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  const auto type = content_type_of(request);
  co_await upload(*request.body, type, 0, capsule.envd);
  services_.capsules.note_activity(id);
  co_await send_no_content(reply);
}

Task<> Files::read(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  const auto body = read_json<api::Path>(request);
  service::admit_guest_path(body.path);
  // Nothing is answered before the guest has: a missing file is a 404, not an empty 200.
  auto call = capsule.envd.read_file(body.path);
  const auto exchange = co_await from_agent(std::move(call));
  services_.capsules.note_activity(id);

  const auto told = exchange->headers().get("Content-Length");
  const auto length = told ? parse_int<std::uint64_t>(*told) : std::nullopt;
  http::Headers fields;
  fields.set("Content-Type", http::kOctetStream);
  const auto writer = co_await reply.stream(200, fields, length);
  net::TransferBuffer buffer;
  for (;;) {
    // A failure from here on cuts the connection: the client sees that it has not got everything.
    const auto data = buffer.took(co_await exchange->body().read_some(buffer.space()));
    if (data.empty()) break;
    co_await writer->write(data);
  }
  co_await writer->finish();
}

Task<> Files::list(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  const auto body = read_json<api::ListFiles>(request);
  service::admit_guest_path(body.path);
  auto call = capsule.envd.list_dir(body.path, body.depth == 0 ? 1 : body.depth);
  const auto told = co_await from_agent(std::move(call));
  services_.capsules.note_activity(id);
  api::FileEntries view;
  view.entries.reserve(told.entries.size());
  for (const auto& entry : told.entries) view.entries.push_back(file_view(entry));
  co_await send_json(reply, 200, view);
}

Task<> Files::make_dir(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  const auto body = read_json<api::Path>(request);
  service::admit_guest_path(body.path);
  auto call = capsule.envd.make_dir(body.path);
  const auto entry = co_await from_agent(std::move(call));
  services_.capsules.note_activity(id);
  api::MadeDirectory view;
  view.entry = file_view(entry);
  co_await send_json(reply, 200, view);
}

Task<> Files::remove(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto capsule = co_await services_.capsules.require_running(caller_of(request).team, id);
  const auto body = read_json<api::Path>(request);
  service::admit_guest_path(body.path);
  auto call = capsule.envd.remove(body.path);
  co_await from_agent(std::move(call));
  services_.capsules.note_activity(id);
  co_await send_no_content(reply);
}

}  // namespace wrenn::cp::handlers
