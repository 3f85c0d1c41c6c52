// An upload form (parts `path` and `file`) into a file of the guest, as a stream.
#pragma once

#include "api/envd_client.h"
#include "core/http/multipart.h"

namespace wrenn::cp::handlers {

using async::Task;

// A body that may not be longer than `limit`: Error(too_large) with what to do instead.
class LimitedBody final : public http::Body {
 public:
  LimitedBody(http::Body& inner, std::uint64_t limit) : inner_(inner), limit_(limit) {}
  Task<std::size_t> read_some(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const noexcept override { return inner_.remaining(); }

 private:
  http::Body& inner_;
  const std::uint64_t limit_;
  std::uint64_t read_ = 0;
};

// `spool_bytes`: how much of a file part that comes before its path is kept in memory; 0: that order is
// refused. Throws Error(invalid_argument) for a form that lacks a part or is torn, what throw_agent_failure()
// makes of the guest's.
Task<> upload(http::Body& body, std::string_view content_type, std::uint64_t spool_bytes,
              api::EnvdClient envd);

}  // namespace wrenn::cp::handlers
