// Network slots against a stand-in host: a namespace with an uplink to another one, "the world". The guests
// are the test itself, at the far end of the TAPs, writing and reading Ethernet frames; so it can also send
// what a guest must not.
//
//   guest A ── slot A ─┐                         ┌ 203.0.113.1   a public address
//   guest B ── slot B ─┴ host ── 203.0.113.2 ────┤ 192.168.77.1, 100.64.0.1, 169.254.169.254, 10.99.0.1 …
//                                                └ world
#include <arpa/inet.h>
#include <fcntl.h>

#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "agent/network/host_network.h"
#include "agent/network/slot.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "host_test.h"
#include "linux/link.h"
#include "linux/netns.h"
#include "linux/nft.h"
#include "linux/process.h"
#include "linux/sysctl.h"

using namespace wrenn;
using namespace wrenn::agent::network;
using namespace wrenn::host_test;
using sys::Ipv4;

namespace {

// High, so that a running agent's slots are not in the way.
constexpr int kSlotA = kLastSlot - 1;
constexpr int kSlotB = kLastSlot;
constexpr std::uint16_t kPort = 4711;
constexpr std::size_t kVnetHeaderBytes =
    10;  // struct virtio_net_hdr, which a TAP with offloads puts before each frame
constexpr auto kArrives = std::chrono::milliseconds(1000);   // for what must arrive
constexpr auto kStaysAway = std::chrono::milliseconds(150);  // for what must not
constexpr Ipv4 kPublic = Ipv4::of(203, 0, 113, 1);
constexpr Ipv4 kHostUplink = Ipv4::of(203, 0, 113, 2);

std::string problem() {
  if (const std::string root = root_problem(); !root.empty()) return root;
  return network_problem();
}

in_addr to_in(Ipv4 address) {
  return {htonl(address.value)};
}

// A UDP socket in a namespace.
class Udp {
 public:
  Udp(sys::FdView netns, Ipv4 address) {
    sys::run_in_netns(netns, [&] {
      fd_ = sys::Fd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in local{};
      local.sin_family = AF_INET;
      local.sin_port = htons(kPort);
      local.sin_addr = to_in(address);
      REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&local), sizeof local) == 0);
    });
  }
  void send(Ipv4 to, std::string_view text) {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(kPort);
    peer.sin_addr = to_in(to);
    ::sendto(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&peer), sizeof peer);
  }
  struct Datagram {
    Ipv4 from;
    std::string text;
  };
  std::optional<Datagram> receive(std::chrono::milliseconds timeout) {
    if (!sys::wait_readable(fd_, timeout)) return std::nullopt;
    char buffer[256];
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const ssize_t got =
        ::recvfrom(fd_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size);
    if (got < 0) return std::nullopt;
    return Datagram{{ntohl(peer.sin_addr.s_addr)}, std::string(buffer, static_cast<std::size_t>(got))};
  }

 private:
  sys::Fd fd_;
};

std::uint16_t checksum(const void* data, std::size_t bytes) {
  std::uint32_t sum = 0;
  const auto* word = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i + 1 < bytes; i += 2)
    sum += static_cast<std::uint32_t>(word[i] << 8 | word[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<std::uint16_t>(~sum));
}

using Mac = std::array<unsigned char, 6>;
constexpr Mac kMac{0x02, 0xfc, 0, 0, 0, 0x05};
constexpr Mac kGateway{0x02, 0xfc, 0, 0, 0, 0x06};
constexpr Mac kOtherMac{0x02, 0xfc, 0, 0, 0, 0x77};

// What a VMM has of a slot: the TAP. Frames carry a virtio-net header of 10 bytes.
class Guest {
 public:
  explicit Guest(int slot) : tap_(open_slot_tap(slot)) {}

  void send_udp(Ipv4 to, std::string_view text, Ipv4 from = kGuestAddress, Mac mac = kMac) {
    std::string packet(sizeof(ip) + sizeof(udphdr), '\0');
    packet += text;
    auto* head = reinterpret_cast<ip*>(packet.data());
    head->ip_v = 4;
    head->ip_hl = 5;
    head->ip_len = htons(static_cast<std::uint16_t>(packet.size()));
    head->ip_ttl = 64;
    head->ip_p = IPPROTO_UDP;
    head->ip_src = to_in(from);
    head->ip_dst = to_in(to);
    head->ip_sum = checksum(head, sizeof(ip));
    auto* udp = reinterpret_cast<udphdr*>(packet.data() + sizeof(ip));
    udp->source = htons(kPort);
    udp->dest = htons(kPort);
    udp->len =
        htons(static_cast<std::uint16_t>(sizeof(udphdr) + text.size()));  // no checksum: allowed for IPv4
    send_frame(mac, ETHERTYPE_IP, packet);
  }

  // Receives UDP to our address, answering the gateway's ARP meanwhile as a guest does.
  std::optional<std::string> receive_udp(std::chrono::milliseconds timeout) {
    const SteadyTime deadline = SteadyClock::now() + timeout;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now());
      if (left.count() <= 0 || !sys::wait_readable(tap_, left)) return std::nullopt;
      unsigned char frame[2048];
      const ssize_t got = ::read(tap_.get(), frame, sizeof frame);
      constexpr std::size_t kHead = kVnetHeaderBytes + sizeof(ether_header);
      if (got < static_cast<ssize_t>(kHead + sizeof(ip) + sizeof(udphdr))) continue;
      const auto* ethernet = reinterpret_cast<const ether_header*>(frame + kVnetHeaderBytes);
      if (ntohs(ethernet->ether_type) == ETHERTYPE_ARP) {
        answer_arp(std::string(reinterpret_cast<char*>(frame) + kHead, 28));
        continue;
      }
      const auto* head = reinterpret_cast<const ip*>(frame + kHead);
      if (ntohs(ethernet->ether_type) != ETHERTYPE_IP || head->ip_p != IPPROTO_UDP) continue;
      const std::size_t data = kHead + head->ip_hl * 4U + sizeof(udphdr);
      return std::string(reinterpret_cast<char*>(frame) + data, static_cast<std::size_t>(got) - data);
    }
  }

  void send_frame(Mac from, std::uint16_t type, std::string_view payload) {
    std::string frame(kVnetHeaderBytes, '\0');
    frame.append(reinterpret_cast<const char*>(kGateway.data()), 6);
    frame.append(reinterpret_cast<const char*>(from.data()), 6);
    frame += static_cast<char>(type >> 8);
    frame += static_cast<char>(type & 255);
    frame += payload;
    REQUIRE(::write(tap_.get(), frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()));
  }

 private:
  void answer_arp(std::string arp) {
    if (arp[7] != 1) return;  // no request
    arp[7] = 2;
    const std::string asker = arp.substr(8, 10);
    const std::string asked = arp.substr(24, 4);
    arp.replace(8, 6, std::string(reinterpret_cast<const char*>(kMac.data()), 6));
    arp.replace(14, 4, asked);
    arp.replace(18, 10, asker);
    send_frame(kMac, ETHERTYPE_ARP, arp);
  }
  sys::Fd tap_;
};

// The stand-in host with its world; `work` runs on a thread that lives on that host.
class Stage {
 public:
  Stage() : host_(sys::NetNs::create(name("host"))), world_(sys::NetNs::create(name("world"))) {
    auto host = sys::NetlinkSocket::open_in(host_.fd());
    auto world = sys::NetlinkSocket::open_in(world_.fd());
    sys::create_veth(host, {.name = "uplink", .peer_name = "eth0", .peer_netns = world_.fd()});
    const int uplink = sys::get_link(host, "uplink").index;
    const int far = sys::get_link(world, "eth0").index;
    sys::change_link(world, far, {.up = true});  // peers are created down
    sys::add_address(host, uplink, {kHostUplink, 24});
    sys::add_route(host, {.destination = {{}, 0}, .gateway = kPublic, .link_index = uplink});
    sys::add_address(world, far, {kPublic, 24});
    for (const Ipv4 address : others()) sys::add_address(world, far, {address, 32});
    // The world knows the way back to guests, so that only our rules stand between them.
    sys::add_route(world,
                   {.destination = {Ipv4::of(10, 12, 0, 0), 16}, .gateway = kHostUplink, .link_index = far});
    sys::add_route(world,
                   {.destination = {Ipv4::of(10, 11, 0, 0), 16}, .gateway = kHostUplink, .link_index = far});
  }
  static std::vector<Ipv4> others() {
    return {Ipv4::of(192, 168, 77, 1), Ipv4::of(100, 64, 0, 1), Ipv4::of(169, 254, 169, 254),
            Ipv4::of(10, 99, 0, 1), Ipv4::of(172, 16, 0, 1)};
  }
  void on_host(const std::function<void()>& work) { sys::run_in_netns(host_.fd(), work); }
  sys::FdView host() const { return host_.fd(); }
  sys::FdView world() const { return world_.fd(); }

 private:
  static std::string name(const char* what) { return fmt::format("wrennt-{}-{}", what, ::getpid()); }
  sys::NetNs host_;
  sys::NetNs world_;
};

}  // namespace

TEST_CASE_METHOD(Host, "guests reach the world and nothing that is closed", "[host][network]") {
  NEEDS(problem());
  Stage stage;
  const SlotPlan a = plan_slot(kSlotA);
  const SlotPlan b = plan_slot(kSlotB);
  stage.on_host([] {
    prepare_host_network({});
    prepare_host_network({});  // again: same result
    CHECK(sys::read_sysctl("net.ipv4.ip_forward") == "1");
    create_slot(kSlotA);
    create_slot(kSlotB);
    CHECK(list_slots().size() >= 2);
    CHECK(slot_is_complete(kSlotA));
  });
  {
    Guest guest(kSlotA);
    Guest other(kSlotB);
    Udp on_host(stage.host(), {});
    Udp world(stage.world(), kPublic);

    SECTION("out, and the answer back") {
      guest.send_udp(kPublic, "hello");
      const auto arrived = world.receive(kArrives);
      REQUIRE(arrived);
      CHECK(arrived->text == "hello");
      CHECK(sys::to_string(arrived->from) == sys::to_string(kHostUplink));  // masqueraded
      world.send(arrived->from, "answer");
      CHECK(guest.receive_udp(kArrives) == "answer");
    }
    SECTION("host to guest, and the answer back") {
      on_host.send(a.host_reachable, "ping");
      CHECK(guest.receive_udp(kArrives) == "ping");
      guest.send_udp(a.veth, "pong");
      const auto answer = on_host.receive(kArrives);
      REQUIRE(answer);
      CHECK(answer->text == "pong");
      CHECK(sys::to_string(answer->from) == sys::to_string(a.host_reachable));
      on_host.send(b.host_reachable, "other");
      CHECK(other.receive_udp(kArrives) == "other");
    }
    SECTION("not the host, by none of its addresses") {
      for (const Ipv4 address : {a.veth, b.veth, kHostUplink, Ipv4::of(127, 0, 0, 1)}) {
        CAPTURE(sys::to_string(address));
        guest.send_udp(address, "knock");
        CHECK_FALSE(on_host.receive(kStaysAway));
      }
      world.send(kHostUplink, "control");  // others do reach that socket
      CHECK(on_host.receive(kArrives));
    }
    SECTION("not another guest") {
      for (const Ipv4 address : {b.host_reachable, b.peer}) {
        CAPTURE(sys::to_string(address));
        guest.send_udp(address, "neighbour");
        CHECK_FALSE(other.receive_udp(kStaysAway));
      }
    }
    SECTION("not private, shared, link-local and metadata addresses") {
      for (const Ipv4 address : Stage::others()) {
        CAPTURE(sys::to_string(address));
        Udp service(stage.world(), address);
        guest.send_udp(address, "metadata?");
        CHECK_FALSE(service.receive(kStaysAway));
        on_host.send(address, "control");  // the service is there, and the host does reach it
        CHECK(service.receive(kArrives));
      }
    }
    SECTION("not under a false address") {
      guest.send_udp(kPublic, "false source", Ipv4::of(169, 254, 0, 23));
      guest.send_udp(kPublic, "false source", b.peer);
      guest.send_udp(kPublic, "false mac", kGuestAddress, kOtherMac);
      CHECK_FALSE(world.receive(kStaysAway));
      guest.send_udp(kPublic, "true");
      REQUIRE(world.receive(kArrives));
    }
    SECTION("the world does not reach guests") {
      world.send(a.host_reachable, "hi");
      world.send(a.peer, "hi");
      CHECK_FALSE(guest.receive_udp(kStaysAway));
    }
  }
  stage.on_host([] {
    destroy_slot(kSlotA);
    destroy_slot(kSlotA);
    CHECK_FALSE(slot_is_complete(kSlotA));
    create_slot(kSlotB);  // over a leftover
    destroy_slot(kSlotB);
    remove_host_network();
  });
}

TEST_CASE_METHOD(Host, "slots are made and removed many times", "[host][network]") {
  NEEDS(problem());
  Stage stage;
  constexpr int kTimes = 20;
  std::int64_t create_us = 0;
  std::int64_t destroy_us = 0;
  stage.on_host([&] {
    prepare_host_network({});
    for (int i = 0; i < kTimes; ++i) {
      const auto start = SteadyClock::now();
      create_slot(kSlotA);
      const auto made = SteadyClock::now();
      destroy_slot(kSlotA);
      create_us += std::chrono::duration_cast<std::chrono::microseconds>(made - start).count();
      destroy_us += std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - made).count();
    }
  });
  std::printf("network slot: create %.1f ms, destroy %.1f ms\n",
              static_cast<double>(create_us) / kTimes / 1e3, static_cast<double>(destroy_us) / kTimes / 1e3);
}

TEST_CASE_METHOD(Host, "a slot that cannot be completed leaves nothing", "[host][network]") {
  NEEDS(problem());
  Stage stage;
  stage.on_host([&] {
    // Its address range is taken by a route already: the last step fails.
    auto netlink = sys::NetlinkSocket::open();
    const SlotPlan plan = plan_slot(kSlotA);
    const int uplink = sys::get_link(netlink, "uplink").index;
    sys::add_route(netlink,
                   {.destination = {plan.host_reachable, 32}, .gateway = std::nullopt, .link_index = uplink});
    CHECK_THROWS_AS(create_slot(kSlotA), Error);
    CHECK_FALSE(sys::find_link(netlink, plan.veth_name));
    CHECK(sys::list_netns(plan.netns).empty());
  });
}
