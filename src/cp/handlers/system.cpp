#include "cp/handlers/system.h"

#include "core/base/version.h"
#include "core/compress/gzip.h"
#include "core/log/log.h"
#include "cp/embedded_file.h"
#include "cp/figures.h"
#include "cp/store/installation.h"

namespace wrenn::cp::handlers {

// Half a millisecond for the 200 KB that they are.
static std::string unpacked(std::string_view packed) {
  static constexpr std::size_t kPiece = 64 * 1024;
  compress::GzipReader reader;
  std::string text;
  for (;;) {
    const auto before = text.size();
    text.resize(before + kPiece);
    const auto step = reader.step(packed, std::span(text).subspan(before));
    text.resize(before + step.produced);
    packed.remove_prefix(step.consumed);
    if (packed.empty() && step.produced < kPiece) return text;
  }
}

Task<> System::health(Request&, Reply& reply) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("status", "ok");
  writer.member("version", kVersion);
  writer.end_object();
  auto response = http::json_response(200, std::move(text));
  co_await reply.send(std::move(response));
}

Task<> System::ready(Request&, Reply& reply) {
  // A program that cannot reach its database answers nothing else either. A host that is away is no reason:
  // other capsules, and what the database knows, can be asked about.
  auto ask = [](db::Connection& connection) {
    store::installation_fact(connection, store::kEncryptionKeyCheck);
    return true;
  };
  std::exception_ptr failure;
  bool alive = false;
  try {
    alive = co_await services_.database.read(ask);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && async::is_cancellation(failure)) std::rethrow_exception(failure);
  if (failure) log::warn("not ready: the database does not answer", {{"error", wrenn::describe(failure)}});
  const bool stopping = services_.shutdown.begun();
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("status", alive && !stopping ? "ready" : "not_ready");
  // Full it is ready all the same: it is read, and what runs is reached. To send nobody here would refuse that, too.
  writer.member("database", !alive ? "unavailable" : services_.room.lacking() ? "full" : "ok");
  writer.member("stopping", stopping);
  writer.end_object();
  auto response = http::json_response(alive && !stopping ? 200 : 503, std::move(text));
  if (response.status == 503) response.headers.set("Retry-After", "5");
  co_await reply.send(std::move(response));
}

Task<> System::openapi(Request&, Reply& reply) {
  http::Response response;
  response.headers.set("Content-Type", "application/yaml");
  response.body = kOpenApiFiles.front().text;
  co_await reply.send(std::move(response));
}

Task<> System::docs(Request&, Reply& reply) {
  http::Response response;
  response.headers.set("Content-Type", "text/html; charset=utf-8");
  // It holds its style and loads nothing.
  response.headers.set(
      "Content-Security-Policy",
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'");
  response.body = unpacked(kDocsFiles.front().text);
  co_await reply.send(std::move(response));
}

Task<> System::prometheus(Request&, Reply& reply) {
  co_await refresh_figures(services_);
  http::Response response;
  response.headers.set("Content-Type", metrics::kContentType);
  response.body = services_.metrics.render();
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::cp::handlers
