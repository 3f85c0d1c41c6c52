// Limits of the boot path inside a guest.
#pragma once

#include <chrono>
#include <cstddef>

namespace wrenn::guest::limits {

using namespace std::chrono_literals;

inline constexpr std::size_t kInitBinaryBytes = 256 * 1024 * 1024;  // an unstripped build is about 150 MB
inline constexpr std::size_t kModuleBytes = 16 * 1024 * 1024;       // the largest one listed today has 155 KB
inline constexpr std::size_t kLoadOrderBytes = 16 * 1024;
inline constexpr std::size_t kCommandLineBytes = 4096;  // COMMAND_LINE_SIZE is 2048 on x86
inline constexpr auto kRootDeviceTimeout = 5s;          // from modules loaded to /dev/vda
inline constexpr auto kRootDevicePoll = 1ms;

}  // namespace wrenn::guest::limits
