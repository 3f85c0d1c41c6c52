// rtnetlink: requests, their acknowledgements, and dumps. (Not netlink.h: <linux/netlink.h> is the kernel's,
// and src/ is on the include path.)
//
// A socket belongs to the network namespace of the thread that opened it, for ever; later calls may come from
// any thread, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linux/fd.h"

namespace wrenn::sys {

// A message under construction: header, fixed part, attributes.
class NetlinkRequest {
 public:
  // `type` is RTM_*; `flags` are NLM_F_*, to which REQUEST is added.
  NetlinkRequest(std::uint16_t type, std::uint16_t flags);

  // The fixed part of the family (ifinfomsg, ifaddrmsg, rtmsg): before any attribute.
  template <typename T>
  NetlinkRequest& fixed(const T& value) {
    append(std::as_bytes(std::span(&value, 1)));
    return *this;
  }
  NetlinkRequest& attribute(std::uint16_t type, std::span<const std::byte> value);
  NetlinkRequest& attribute(std::uint16_t type, std::string_view text);  // with its terminating zero
  NetlinkRequest& attribute(std::uint16_t type, std::uint32_t value);
  // Attributes up to the matching end() are inside this one. begin() gives what end() takes.
  [[nodiscard]] std::size_t begin(std::uint16_t type);
  void end(std::size_t mark);

  std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  friend class NetlinkSocket;
  void append(std::span<const std::byte> data);
  void finish(std::uint32_t sequence, std::uint16_t more_flags);
  std::vector<std::byte> bytes_;
};

// One message of an answer; valid during the callback only.
struct NetlinkMessage {
  std::uint16_t type = 0;
  std::span<const std::byte> payload;  // fixed part and attributes

  // The fixed part; absent when the message is too short for it.
  template <typename T>
  std::optional<T> fixed() const {
    if (payload.size() < sizeof(T)) return std::nullopt;
    T value;
    __builtin_memcpy(&value, payload.data(), sizeof(T));
    return value;
  }
  // Value of an attribute after a fixed part of `fixed_bytes`; absent when there is none.
  std::optional<std::span<const std::byte>> attribute(std::size_t fixed_bytes, std::uint16_t type) const;
  std::optional<std::uint32_t> attribute_u32(std::size_t fixed_bytes, std::uint16_t type) const;
  std::optional<std::string> attribute_text(std::size_t fixed_bytes, std::uint16_t type) const;
};

struct NetlinkFailure {
  int errno_value = 0;
  std::string message;  // the kernel's own explanation, often empty
};

class NetlinkSocket {
 public:
  // In the namespace of the calling thread. Throws SystemError.
  static NetlinkSocket open();
  // In that namespace, through a short-lived thread. Throws SystemError.
  static NetlinkSocket open_in(FdView netns);

  // Sends one request and waits for its acknowledgement. Throws SystemError("{what}: …"), and
  // Error(deadline_exceeded) when the kernel does not answer; the socket is unusable then.
  void execute(NetlinkRequest& request, std::string_view what);
  // The same, but a refusal is a value: absent means done.
  std::optional<NetlinkFailure> try_execute(NetlinkRequest& request);
  // Sends all at once, which saves a round trip each. The kernel carries them out in order and does *not*
  // stop at the first failure; element i is absent when request i was done.
  std::vector<std::optional<NetlinkFailure>> try_execute_all(std::span<NetlinkRequest> requests);

  // A request that is answered by messages: dumps (NLM_F_DUMP) and single gets. False when a get found
  // nothing (ENODEV, ENOENT, ESRCH). `each` may throw; the socket then refuses further use.
  bool query(NetlinkRequest& request, std::string_view what,
             const std::function<void(const NetlinkMessage&)>& each);

 private:
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)) {}
  void send(std::span<const std::byte> data);
  std::span<const std::byte> receive();
  Fd fd_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace wrenn::sys
