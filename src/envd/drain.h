// Reading away the body of a request that is refused: many clients read the answer only after they have sent
// all.
#pragma once

#include "core/http/body.h"

namespace wrenn::envd {

// At most limits::kDrainBytes and kDrainTime; nothing when more is announced. Throws Error(canceled) only.
async::Task<> drain(http::Body& body);

}  // namespace wrenn::envd
