#include "agent/vmm/tsc.h"

#include <time.h>
#include <x86intrin.h>

#include <chrono>
#include <cmath>
#include <thread>

namespace wrenn::agent::vmm {

namespace {

constexpr auto kMeasureFor = std::chrono::milliseconds(20);
constexpr int kTries = 16;  // per end: a pre-empted reading is found by its long bracket

struct Reading {
  double ns = 0;
  double ticks = 0;
};

// Brackets the clock between two counter readings and keeps the tightest bracket.
Reading read_both() noexcept {
  Reading best;
  double best_width = INFINITY;
  for (int i = 0; i < kTries; ++i) {
    timespec time{};
    const auto before = __rdtsc();
    ::clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    const auto after = __rdtsc();
    const auto width = static_cast<double>(after - before);
    if (width < best_width) {
      best_width = width;
      best = {static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec),
              static_cast<double>(before) + width / 2};
    }
  }
  return best;
}

std::uint32_t measure() noexcept {
  const Reading start = read_both();
  std::this_thread::sleep_for(kMeasureFor);
  const Reading end = read_both();
  return static_cast<std::uint32_t>(std::lround((end.ticks - start.ticks) / (end.ns - start.ns) * 1e6));
}

}  // namespace

std::uint32_t host_tsc_khz() noexcept {
  static const std::uint32_t khz = measure();
  return khz;
}

}  // namespace wrenn::agent::vmm
