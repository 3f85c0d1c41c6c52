#include "cp/idempotency.h"

#include <algorithm>

#include "api/errors.h"
#include "core/base/codec.h"
#include "core/crypto/hash.h"
#include "core/http/websocket.h"
#include "cp/limits.h"
#include "cp/service/changes.h"
#include "cp/service/note.h"
#include "cp/whole_body.h"

namespace wrenn::cp {

namespace {

constexpr std::string_view kHeader = "Idempotency-Key", kReplayed = "Idempotency-Replayed";
constexpr std::size_t kKeyBytes = 255;

// Keeps a whole answer back until its text is stored.
class HeldReply final : public http::Reply {
 public:
  explicit HeldReply(http::Reply& inner) : inner_(inner) { headers = inner.headers; }

  Task<> send(http::Response response) override {
    held = std::move(response);
    co_return;
  }
  Task<std::unique_ptr<http::BodyWriter>> stream(int status, http::Headers fields,
                                                 std::optional<std::uint64_t> length) override {
    return inner_.stream(status, std::move(fields), length);
  }
  Task<http::WebSocket> accept_websocket(const http::WebSocketOptions& options) override {
    return inner_.accept_websocket(options);
  }
  net::Stream hijack(std::string& unread) override { return inner_.hijack(unread); }
  Task<> client_gone() override { return inner_.client_gone(); }
  bool started() const noexcept override { return inner_.started(); }

  std::optional<http::Response> held;

 private:
  http::Reply& inner_;
};

std::string admit_key(std::string_view key) {
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f; };
  if (key.empty() || key.size() > kKeyBytes || !std::all_of(key.begin(), key.end(), is_plain))
    throw_error(ErrorCode::invalid_argument, "{} must have 1 to {} printable ASCII characters", kHeader,
                kKeyBytes);
  return std::string(key);
}

std::string fingerprint_of(const http::Request& request) {
  return hex_encode(crypto::sha256(
      fmt::format("{} {}?{}\n{}", request.method, request.path, request.query, body_of(request))));
}

[[noreturn]] void refuse(int status, std::string_view code, std::string_view message) {
  throw api::PublicError(ErrorCode::aborted, status, std::string(code), std::string(message));
}

}  // namespace

struct Idempotency::Claim {
  enum class Kind { ours, mismatch, in_progress, answered };
  Kind kind = Kind::ours;
  store::IdempotencyRow row;
  std::optional<std::string> answer;  // absent: it cannot be read
};

Task<Idempotency::Claim> Idempotency::claim(store::IdempotencyName name, std::string fingerprint) {
  auto write = [&](db::Connection& connection) {
    Claim claim;
    const auto at = now();
    // Without it nothing is begun: the answer could not be kept.
    const auto key = key_.in(connection);
    if (auto row = store::find_idempotency(connection, name)) {
      claim.row = std::move(*row);
      if (claim.row.fingerprint != fingerprint)
        claim.kind = Claim::Kind::mismatch;
      else if (claim.row.answer_status)
        claim.kind = Claim::Kind::answered;
      else if (!claim.row.sandbox && claim.row.claimed_until > at)
        claim.kind = Claim::Kind::in_progress;
      if (claim.kind == Claim::Kind::answered) {
        const auto sealed = base64_decode(claim.row.answer);
        if (sealed) claim.answer = key->open(*sealed);
      }
      if (claim.kind != Claim::Kind::ours) return claim;
    }
    const auto until = service::after(at, limits::kIdempotencyClaim);
    store::claim_idempotency(connection, name, fingerprint, until, at);
    return claim;
  };
  co_return co_await database_.write(write);
}

Task<> Idempotency::run(http::Request& request, http::Reply& reply, service::Caller caller,
                        const http::Handler& handler) {
  const auto field = request.headers.get(kHeader);
  if (!field) {
    co_await handler(request, reply);
    co_return;
  }
  const store::IdempotencyName name{caller.team, caller.actor.id, admit_key(*field)};
  const auto claimed = co_await claim(name, fingerprint_of(request));
  switch (claimed.kind) {
    case Claim::Kind::mismatch:
      refuse(422, "idempotency_mismatch",
             "this Idempotency-Key was used for another request; choose a new one");
    case Claim::Kind::in_progress:
      refuse(409, "idempotency_in_progress",
             "the first request with this Idempotency-Key is under way; ask again");
    case Claim::Kind::answered: {
      if (!claimed.answer)
        throw_error(ErrorCode::data_loss, "a kept answer cannot be read: was the encryption key changed?");
      reply.headers.set(kReplayed, "true");
      auto response = http::json_response(*claimed.row.answer_status, *claimed.answer);
      co_await reply.send(std::move(response));
      co_return;
    }
    case Claim::Kind::ours:
      break;
  }

  auto asking = caller;
  asking.request_key = name.key;
  asking.made_before = claimed.row.sandbox;
  request.context = std::move(asking);
  HeldReply held(reply);
  std::exception_ptr failure;
  try {
    co_await handler(request, held);
  } catch (...) {
    failure = std::current_exception();
  }
  // Broken off, because this process ends: what was begun may go on without it, or be settled after the next
  // start, and whoever repeats the request must find the claim, and with it the capsule.
  if (failure && async::is_cancellation(failure)) std::rethrow_exception(failure);
  const bool keeps = !failure && held.held && held.held->status >= 200 && held.held->status < 300;
  // A client that has gone away, or the end of this process, changes nothing about what was made.
  co_await async::ignore_cancellation();
  auto write = [&](db::Connection& connection) {
    if (keeps)
      store::set_idempotency_answer(connection, name, held.held->status,
                                    base64_encode(key_.in(connection)->seal(held.held->body)));
    else
      store::erase_idempotency(connection, name);
  };
  // What was made is made, and who asked must hear of it.
  co_await service::note(
      database_, write, log::Level::warn,
      "the answer for an Idempotency-Key was not kept; until its claim ends, repetitions are refused",
      name.team.text());
  co_await async::heed_cancellation();
  if (failure) std::rethrow_exception(failure);
  reply.headers = held.headers;
  if (held.held) co_await reply.send(std::move(*held.held));
}

}  // namespace wrenn::cp
