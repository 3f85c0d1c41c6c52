#include "linux/netlink_socket.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>

#include "core/base/check.h"
#include "core/base/error.h"
#include "linux/kernel_limits.h"
#include "linux/netns.h"

namespace wrenn::sys {

namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;  // the kernel fills dumps in pieces of at most 32 KiB
constexpr std::uint16_t kAttributeTypeMask = NLA_TYPE_MASK;

template <typename T>
T load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// Calls `visit(type, value)` for each attribute until it returns true.
template <typename Visit>
void walk_attributes(std::span<const std::byte> bytes, Visit visit) {
  while (bytes.size() >= sizeof(nlattr)) {
    const auto header = load<nlattr>(bytes);
    if (header.nla_len < sizeof(nlattr) || header.nla_len > bytes.size()) return;
    if (visit(static_cast<std::uint16_t>(header.nla_type & kAttributeTypeMask),
              bytes.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr))))
      return;
    bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
  }
}

std::string text_of(std::span<const std::byte> value) {
  const auto* begin = reinterpret_cast<const char*>(value.data());
  return std::string(begin, ::strnlen(begin, value.size()));
}

// An NLMSG_ERROR message: 0 with errno_value 0.
NetlinkFailure parse_acknowledgement(const nlmsghdr& header, std::span<const std::byte> payload) {
  if (payload.size() < sizeof(nlmsgerr)) return {EPROTO, "short acknowledgement"};
  const auto error = load<nlmsgerr>(payload);
  NetlinkFailure failure{-error.error, {}};
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return failure;
  // The explanation follows the copy of the request, of which CAPPED leaves only the header.
  std::size_t skip = sizeof(nlmsgerr);
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) skip += error.msg.nlmsg_len - sizeof(nlmsghdr);
  skip = NLMSG_ALIGN(skip);
  if (skip > payload.size()) return failure;
  walk_attributes(payload.subspan(skip), [&](std::uint16_t type, std::span<const std::byte> value) {
    if (type == NLMSGERR_ATTR_MSG) failure.message = text_of(value);
    return type == NLMSGERR_ATTR_MSG;
  });
  return failure;
}

[[noreturn]] void throw_failure(const NetlinkFailure& failure, std::string_view what) {
  errno = failure.errno_value;
  if (failure.message.empty()) throw_errno("{}", what);
  throw_errno("{}: {}", what, failure.message);
}

}  // namespace

NetlinkRequest::NetlinkRequest(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  append(std::as_bytes(std::span(&header, 1)));
}

void NetlinkRequest::append(std::span<const std::byte> data) {
  bytes_.insert(bytes_.end(), data.begin(), data.end());
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

NetlinkRequest& NetlinkRequest::attribute(std::uint16_t type, std::span<const std::byte> value) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  append(std::as_bytes(std::span(&header, 1)));
  append(value);
  return *this;
}

NetlinkRequest& NetlinkRequest::attribute(std::uint16_t type, std::string_view text) {
  const std::string terminated(text);
  return attribute(type, std::as_bytes(std::span(terminated.c_str(), terminated.size() + 1)));
}

NetlinkRequest& NetlinkRequest::attribute(std::uint16_t type, std::uint32_t value) {
  return attribute(type, std::as_bytes(std::span(&value, 1)));
}

std::size_t NetlinkRequest::begin(std::uint16_t type) {
  const std::size_t mark = bytes_.size();
  attribute(type, std::span<const std::byte>{});
  return mark;
}

void NetlinkRequest::end(std::size_t mark) {
  const auto length = static_cast<std::uint16_t>(bytes_.size() - mark);
  std::memcpy(bytes_.data() + mark + offsetof(nlattr, nla_len), &length, sizeof(length));
}

void NetlinkRequest::finish(std::uint32_t sequence, std::uint16_t more_flags) {
  auto header = load<nlmsghdr>(bytes_);
  header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
  header.nlmsg_seq = sequence;
  header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | more_flags);
  std::memcpy(bytes_.data(), &header, sizeof(header));
}

std::optional<std::span<const std::byte>> NetlinkMessage::attribute(std::size_t fixed_bytes,
                                                                    std::uint16_t type) const {
  std::optional<std::span<const std::byte>> found;
  const std::size_t skip = NLMSG_ALIGN(fixed_bytes);
  if (skip > payload.size()) return found;
  walk_attributes(payload.subspan(skip), [&](std::uint16_t present, std::span<const std::byte> value) {
    if (present == type) found = value;
    return present == type;
  });
  return found;
}

std::optional<std::uint32_t> NetlinkMessage::attribute_u32(std::size_t fixed_bytes,
                                                           std::uint16_t type) const {
  const auto value = attribute(fixed_bytes, type);
  if (!value || value->size() != sizeof(std::uint32_t)) return std::nullopt;
  return load<std::uint32_t>(*value);
}

std::optional<std::string> NetlinkMessage::attribute_text(std::size_t fixed_bytes, std::uint16_t type) const {
  const auto value = attribute(fixed_bytes, type);
  if (!value) return std::nullopt;
  return text_of(*value);
}

NetlinkSocket NetlinkSocket::open() {
  Fd fd = Fd::adopt(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) throw_errno("open a netlink socket");
  const int on = 1;
  // Both only make answers better; kernels before 4.12 and 4.20 lack them.
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limits::kNetlinkReplyTimeout).count();
  const timeval timeout{seconds, 0};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
    throw_errno("set the deadline of a netlink socket");
  return NetlinkSocket(std::move(fd));
}

NetlinkSocket NetlinkSocket::open_in(FdView netns) {
  std::optional<NetlinkSocket> socket;
  run_in_netns(netns, [&] { socket.emplace(open()); });
  return std::move(*socket);
}

void NetlinkSocket::send(std::span<const std::byte> data) {
  if (!fd_.valid()) throw_error(ErrorCode::failed_precondition, "this netlink socket failed earlier");
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent;
  do {
    sent = ::sendto(fd_.get(), data.data(), data.size(), 0, reinterpret_cast<const sockaddr*>(&kernel),
                    sizeof(kernel));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) throw_errno("send a netlink request");
}

// One datagram. After a missing answer the next one on this socket could be its late reply: hence the reset.
std::span<const std::byte> NetlinkSocket::receive() {
  buffer_.resize(kReceiveBytes);
  sockaddr_nl from{};
  iovec part{buffer_.data(), buffer_.size()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof(from);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  for (;;) {
    const ssize_t got = ::recvmsg(fd_.get(), &message, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      fd_.reset();
      throw_error(ErrorCode::deadline_exceeded, "the kernel did not answer a netlink request in {} s",
                  limits::kNetlinkReplyTimeout.count());
    }
    if (got < 0 || (message.msg_flags & MSG_TRUNC) != 0) {
      const int saved = got < 0 ? errno : EMSGSIZE;
      fd_.reset();
      errno = saved;
      throw_errno("receive a netlink answer");
    }
    if (from.nl_pid != 0) continue;  // only the kernel's word counts
    return std::span(buffer_).first(static_cast<std::size_t>(got));
  }
}

void NetlinkSocket::execute(NetlinkRequest& request, std::string_view what) {
  if (const auto failure = try_execute(request)) throw_failure(*failure, what);
}

std::optional<NetlinkFailure> NetlinkSocket::try_execute(NetlinkRequest& request) {
  return std::move(try_execute_all(std::span(&request, 1)).front());
}

std::vector<std::optional<NetlinkFailure>> NetlinkSocket::try_execute_all(
    std::span<NetlinkRequest> requests) {
  std::vector<std::optional<NetlinkFailure>> results(requests.size());
  for (std::size_t done = 0; done < requests.size();) {
    const std::size_t count = std::min(limits::kNetlinkBatch, requests.size() - done);
    const std::uint32_t first = sequence_ + 1;
    std::vector<std::byte> batch;
    for (std::size_t i = 0; i < count; ++i) {
      NetlinkRequest& request = requests[done + i];
      request.finish(++sequence_, NLM_F_ACK);
      batch.insert(batch.end(), request.bytes_.begin(), request.bytes_.end());
    }
    send(batch);
    for (std::size_t answered = 0; answered < count;) {
      std::span<const std::byte> data = receive();
      while (data.size() >= sizeof(nlmsghdr)) {
        const auto header = load<nlmsghdr>(data);
        if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > data.size()) break;
        const std::uint32_t index = header.nlmsg_seq - first;
        if (header.nlmsg_type == NLMSG_ERROR && index < count) {
          auto failure = parse_acknowledgement(
              header, data.subspan(sizeof(nlmsghdr), header.nlmsg_len - sizeof(nlmsghdr)));
          if (failure.errno_value != 0) results[done + index] = std::move(failure);
          ++answered;
        }
        data = data.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), data.size()));
      }
    }
    done += count;
  }
  return results;
}

bool NetlinkSocket::query(NetlinkRequest& request, std::string_view what,
                          const std::function<void(const NetlinkMessage&)>& each) {
  request.finish(++sequence_, NLM_F_ACK);
  send(request.bytes_);
  // A dump ends with DONE, a single get with the acknowledgement.
  for (;;) {
    std::span<const std::byte> data = receive();
    while (data.size() >= sizeof(nlmsghdr)) {
      const auto header = load<nlmsghdr>(data);
      if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > data.size()) break;
      const auto payload = data.subspan(sizeof(nlmsghdr), header.nlmsg_len - sizeof(nlmsghdr));
      data = data.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), data.size()));
      if (header.nlmsg_seq != sequence_) continue;
      if (header.nlmsg_type == NLMSG_DONE) return true;
      if (header.nlmsg_type == NLMSG_ERROR) {
        const auto failure = parse_acknowledgement(header, payload);
        if (failure.errno_value == 0) return true;
        if (failure.errno_value == ENODEV || failure.errno_value == ENOENT || failure.errno_value == ESRCH)
          return false;
        throw_failure(failure, what);
      }
      try {
        each(NetlinkMessage{header.nlmsg_type, payload});
      } catch (...) {
        fd_.reset();  // the rest of this answer would be taken for the next one's
        throw;
      }
    }
  }
}

}  // namespace wrenn::sys
