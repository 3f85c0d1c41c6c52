// Figures whose value is a question: asked when somebody looks (GET /metrics). README.md lists all.
#pragma once

#include "cp/services.h"

namespace wrenn::cp {

// Throws as Database::read().
Task<> refresh_figures(Services& services);

}  // namespace wrenn::cp
