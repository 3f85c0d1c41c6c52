#include "cp/whole_body.h"

#include "core/base/check.h"

namespace wrenn::cp {

async::Task<std::size_t> WholeBody::read_some(std::span<char> buffer) {
  const std::size_t count = text_.copy(buffer.data(), buffer.size(), at_);
  at_ += count;
  co_return count;
}

const std::string& body_of(const http::Request& request) {
  const auto* body = dynamic_cast<const WholeBody*>(request.body);
  WRENN_CHECK(body != nullptr);  // a route whose body streams, but whose handler wants the whole of it
  return body->text();
}

}  // namespace wrenn::cp
