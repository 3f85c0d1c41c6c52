// Named places in operations of several steps at which a test may end the process, to see what the next start
// makes of what is left. In the program that is installed nothing is ever armed, and a point costs the look
// at a pointer; tests/crash links the same objects together with what arms them.
#pragma once

#include <atomic>
#include <string_view>

namespace wrenn::crash_points {

// Called on any thread whenever a point is reached, with its name in two parts ("network", ".after"). It may
// end the process, or never return.
using Hook = void (*)(std::string_view name, std::string_view part);

extern std::atomic<Hook> hook;

}  // namespace wrenn::crash_points

namespace wrenn {

inline void crash_point(std::string_view name, std::string_view part = {}) {
  if (const auto hook = crash_points::hook.load(std::memory_order_acquire)) hook(name, part);
}

}  // namespace wrenn
