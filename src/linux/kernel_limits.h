// The limits of this folder; each has a name, a unit and this one home.
#pragma once

#include <chrono>
#include <cstddef>

namespace wrenn::sys::limits {

using namespace std::chrono_literals;

inline constexpr std::size_t kProcFileBytes = 1024 * 1024;  // a file under /proc or /sys that is read whole
inline constexpr std::size_t kMapsFileBytes =
    16 * 1024 * 1024;  // /proc/PID/maps: a VMM has hundreds of mappings
inline constexpr std::size_t kAccountFileBytes = 4 * 1024 * 1024;  // /etc/passwd, /etc/group

inline constexpr std::size_t kSpawnStackBytes = 64 * 1024;   // stack of the child between clone and exec
inline constexpr std::size_t kCopyChunkBytes = 1024 * 1024;  // one read when bytes go through our own memory
inline constexpr std::uint64_t kCopyPieceBytes = 8 * 1024 * 1024;  // copied between two looks for room
inline constexpr int kTreeDepth = 256;  // directories that remove_tree descends, each holds one descriptor

inline constexpr auto kNetlinkReplyTimeout =
    5s;  // the kernel answers in microseconds unless rtnl is contended
inline constexpr std::size_t kNetlinkBatch =
    64;  // requests per sendmsg: their acks must fit the receive buffer

inline constexpr int kLoopAttachTries = 32;  // another process may take the free loop device first

inline constexpr auto kDmNodeWait = 500ms;       // for udev to make /dev/mapper/NAME before we make it
inline constexpr int kDmLoadTries = 5;  // of a table for which the kernel finds no memory, and between two of them:
inline constexpr auto kDmLoadInterval = 100ms;
inline constexpr auto kDmRemoveTimeout = 3s;     // while a scanner (udev, blkid) still holds the device
inline constexpr auto kDmRemoveInterval = 20ms;  // between two tries
inline constexpr std::size_t kDmReplyBytes =
    64 * 1024;  // first guess; grows while the kernel says "buffer full"
inline constexpr std::size_t kDmReplyMaxBytes = 16 * 1024 * 1024;

inline constexpr auto kNftTimeout = 10s;             // one `nft -f -`
inline constexpr std::size_t kNftErrorBytes = 4096;  // of its complaint that goes into our message
inline constexpr std::size_t kNftListBytes = 8 * 1024 * 1024;

inline constexpr auto kCgroupRemoveInterval = 2ms;  // rmdir is EBUSY until the last killed task is reaped

}  // namespace wrenn::sys::limits
