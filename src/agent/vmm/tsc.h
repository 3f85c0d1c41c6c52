// The frequency of this machine's time stamp counter.
#pragma once

#include <cstdint>

namespace wrenn::agent::vmm {

// In kHz, good to some parts in a million. The first call measures for 20 ms (and blocks); later ones know.
std::uint32_t host_tsc_khz() noexcept;

}  // namespace wrenn::agent::vmm
