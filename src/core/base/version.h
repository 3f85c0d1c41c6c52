// The version of this build; the one home is meson.build.
#pragma once

#include <string_view>

namespace wrenn {

#ifndef WRENN_VERSION
#error "WRENN_VERSION comes from meson.build"
#endif
inline constexpr std::string_view kVersion = WRENN_VERSION;

}  // namespace wrenn
