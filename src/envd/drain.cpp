#include "envd/drain.h"

#include <memory>
#include <span>

#include "core/async/timeout.h"
#include "core/base/error.h"
#include "envd/limits.h"

namespace wrenn::envd {

using async::Task;

namespace {

Task<> read_away(http::Body& body, std::uint64_t limit) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(limits::kTransferBytes);
  const std::span<char> space(buffer.get(), limits::kTransferBytes);
  for (std::uint64_t drained = 0; drained < limit;) {
    const std::size_t got = co_await body.read_some(space);
    if (got == 0) break;
    drained += got;
  }
}

}  // namespace

Task<> drain(http::Body& body) {
  if (body.remaining().value_or(0) > limits::kDrainBytes) co_return;
  try {
    auto reading = read_away(body, limits::kDrainBytes);
    co_await async::with_timeout(limits::kDrainTime, "rest of the upload", std::move(reading));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
  }
}

}  // namespace wrenn::envd
