#include "core/base/crash_point.h"

namespace wrenn::crash_points {

std::atomic<Hook> hook = nullptr;

}  // namespace wrenn::crash_points
