// A broken invariant is a bug, not a failure: report where and stop.
#pragma once

#include <cstdio>
#include <cstdlib>

#define WRENN_CHECK(condition)                                                                    \
  do {                                                                                            \
    if (!(condition)) [[unlikely]] {                                                              \
      std::fprintf(stderr, "wrenn: bug: %s is false at %s:%d\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                               \
    }                                                                                             \
  } while (false)
