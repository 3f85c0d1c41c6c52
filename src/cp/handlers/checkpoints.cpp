#include "cp/handlers/checkpoints.h"

#include "cp/handlers/views.h"
#include "cp/service/admission.h"

namespace wrenn::cp::handlers {

Task<> Checkpoints::create(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto body = read_json<api::CreateCheckpoint>(request);
  auto name = service::admit_checkpoint_name(std::move(body.name));
  const auto made =
      co_await services_.capsules.create_checkpoint(caller_of(request).team, id, std::move(name));
  co_await send_json(reply, 201, checkpoint_view(made));
}

Task<> Checkpoints::list(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  const auto all = co_await services_.capsules.checkpoints(caller_of(request).team, id);
  api::Checkpoints view;
  for (const auto& one : all) view.checkpoints.push_back(checkpoint_view(one));
  co_await send_json(reply, 200, view);
}

Task<> Checkpoints::remove(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto which = request.params.find("checkpoint")->second;
  co_await services_.capsules.delete_checkpoint(caller_of(request).team, id, std::move(which));
  co_await send_no_content(reply);
}

Task<> Checkpoints::rollback(Request& request, Reply& reply) {
  const auto id = sandbox_id_of(request);
  auto body = read_json<api::Rollback>(request);
  if (body.checkpoint.empty()) throw_error(ErrorCode::invalid_argument, "checkpoint is required");
  const auto wait = patience(services_.config, request, reply);
  const auto row =
      co_await services_.capsules.rollback(caller_of(request), id, std::move(body.checkpoint), wait);
  co_await send_json(reply, 200, detailed_view(row, services_.domain));
}

}  // namespace wrenn::cp::handlers
