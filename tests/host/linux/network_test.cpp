#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"
#include "host_test.h"
#include "linux/link.h"
#include "linux/netns.h"
#include "linux/nft.h"
#include "linux/sysctl.h"
#include "linux/tap.h"

using namespace wrenn;
using namespace wrenn::sys;
using namespace wrenn::host_test;

namespace {

// Another test run on this machine must not meet ours.
std::string unique(const char* prefix) {
  return fmt::format("{}{}", prefix, ::getpid() % 100000);
}

template <typename Work>
int errno_of(Work work) {
  try {
    work();
  } catch (const SystemError& error) {
    return error.errno_value();
  }
  return 0;
}

sockaddr_in socket_address(Ipv4 address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(address.value);
  return result;
}

}  // namespace

TEST_CASE_METHOD(Host, "a namespace with veth, TAP, addresses and routes carries a connection",
                 "[host][network]") {
  NEEDS(root_problem());
  const std::string name = unique("wrennt-ns-");
  const std::string veth = unique("wrt");
  const Ipv4 host_ip = Ipv4::of(10, 11, 255, 250);
  const Ipv4 here = Ipv4::of(10, 12, 255, 252);
  const Ipv4 there = Ipv4::of(10, 12, 255, 253);

  Fd tap;
  Fd listener;
  std::optional<NetlinkSocket> inside;
  const NetNs netns = NetNs::create(name, [&] {
    inside.emplace(NetlinkSocket::open());
    tap = open_tap("tap0", {.owner = 12345});
    write_sysctl("net.ipv4.ip_forward", "1");
  });
  auto outside = NetlinkSocket::open();
  create_veth(outside, {.name = veth, .peer_name = "eth0", .peer_netns = netns.fd()});
  const LinkInfo host_end = get_link(outside, veth);
  CHECK(host_end.kind == "veth");
  CHECK(host_end.up);
  add_address(outside, host_end.index, {here, 31});
  add_route(outside, {{host_ip, 32}, there, 0});

  const LinkInfo eth0 = get_link(*inside, "eth0");
  const LinkInfo lo = get_link(*inside, "lo");
  const LinkInfo tap0 = get_link(*inside, "tap0");
  CHECK_FALSE(eth0.up);
  change_link(*inside, eth0.index, {.up = true});
  CHECK(tap0.kind == "tun");
  CHECK_FALSE(tap0.up);
  change_link(*inside, lo.index, {.up = true});
  add_address(*inside, eth0.index, {there, 31});
  add_address(*inside, lo.index, {host_ip, 32});
  add_address(*inside, tap0.index, {Ipv4::of(169, 254, 0, 22), 30});
  change_link(*inside, tap0.index, {.up = true, .mtu = 1400, .tx_queue_length = 5000});
  add_route(*inside, {{Ipv4{}, 0}, here, 0});
  CHECK(get_link(*inside, "tap0").up);
  CHECK(get_link(*inside, "tap0").mtu == 1400);
  CHECK(default_route_link(*inside)->name == "eth0");
  CHECK(list_links(*inside, "").size() == 3);
  CHECK(list_links(*inside, "tap").size() == 1);
  const auto routes = list_routes(outside);
  CHECK(std::any_of(routes.begin(), routes.end(), [&](const Route& route) {
    return route.destination == Ipv4Prefix{host_ip, 32} && route.gateway == there &&
           route.link_index == host_end.index;
  }));

  // The TAP is as asked for, and the setting is the namespace's, not ours.
  ifreq request{};
  REQUIRE(::ioctl(tap.get(), TUNGETIFF, &request) == 0);
  CHECK((request.ifr_flags & IFF_VNET_HDR) != 0);
  CHECK((request.ifr_flags & IFF_PERSIST) == 0);
  const std::string own_forwarding = read_sysctl("net.ipv4.ip_forward");
  run_in_netns(netns.fd(), [] { CHECK(read_sysctl("net.ipv4.ip_forward") == "1"); });
  CHECK(read_sysctl("net.ipv4.ip_forward") == own_forwarding);

  // A connection over route, veth and namespace.
  run_in_netns(netns.fd(), [&] { listener = Fd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); });
  const sockaddr_in target = socket_address(host_ip, 8080);
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&target), sizeof(target)) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  const Fd client = Fd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(::connect(client.get(), reinterpret_cast<const sockaddr*>(&target), sizeof(target)) == 0);

  // A TAP that does not persist goes with its descriptor.
  tap.reset();
  CHECK_FALSE(find_link(*inside, "tap0"));

  CHECK(delete_route(outside, {{host_ip, 32}, there, 0}));
  CHECK_FALSE(delete_route(outside, {{host_ip, 32}, there, 0}));
  CHECK(delete_link(outside, veth));
  CHECK_FALSE(delete_link(outside, veth));
  CHECK_FALSE(find_link(*inside, "eth0"));
}

TEST_CASE_METHOD(Host, "what the kernel refuses says why", "[host][network]") {
  NEEDS(root_problem());
  const NetNs netns = NetNs::create(unique("wrennt-ns-"));
  auto netlink = NetlinkSocket::open_in(netns.fd());
  create_veth(netlink, {.name = "a", .peer_name = "b", .peer_netns = {}, .up = false});
  CHECK_FALSE(get_link(netlink, "a").up);
  CHECK(errno_of([&] { create_veth(netlink, {.name = "a", .peer_name = "c"}); }) == EEXIST);
  const int index = get_link(netlink, "a").index;
  add_address(netlink, index, {Ipv4::of(10, 0, 0, 1), 24});
  CHECK(errno_of([&] { add_address(netlink, index, {Ipv4::of(10, 0, 0, 1), 24}); }) == EEXIST);
  CHECK(errno_of([&] { add_address(netlink, 9999, {Ipv4::of(10, 0, 0, 1), 24}); }) == ENODEV);
  CHECK(errno_of([&] { add_route(netlink, {{Ipv4::of(10, 9, 0, 0), 16}, Ipv4::of(10, 8, 0, 1), 0}); }) ==
        ENETUNREACH);
  CHECK_THROWS_AS(get_link(netlink, "none"), Error);
  CHECK_THROWS_AS(find_link(netlink, "a-name-that-is-too-long"), Error);
  CHECK_FALSE(default_route_link(netlink));
  try {
    add_route(netlink, {{Ipv4::of(10, 9, 0, 1), 16}, std::nullopt, index});  // host bits set
    FAIL("no error");
  } catch (const SystemError& error) {
    CHECK(error.errno_value() == EINVAL);
    INFO(error.what());
    CHECK(std::string_view(error.what()).starts_with("add route to 10.9.0.1/16"));
  }
  // The socket still serves after refusals.
  CHECK(list_links(netlink, "").size() == 3);
}

TEST_CASE_METHOD(Host, "a batch carries on after a refusal and reports each", "[host][network]") {
  NEEDS(root_problem());
  const NetNs netns = NetNs::create(unique("wrennt-ns-"));
  auto netlink = NetlinkSocket::open_in(netns.fd());
  std::vector<NetlinkRequest> requests;
  // More than one sendmsg holds.
  for (int i = 0; i < 150; ++i) {
    ifinfomsg link{};
    link.ifi_index = i % 3 == 1 ? 9999 : 1;
    link.ifi_flags = IFF_UP;
    link.ifi_change = IFF_UP;
    requests.emplace_back(RTM_NEWLINK, 0).fixed(link);
  }
  const auto results = netlink.try_execute_all(requests);
  REQUIRE(results.size() == 150);
  for (int i = 0; i < 150; ++i) {
    CAPTURE(i);
    REQUIRE(results[static_cast<std::size_t>(i)].has_value() == (i % 3 == 1));
    if (i % 3 == 1) CHECK(results[static_cast<std::size_t>(i)]->errno_value == ENODEV);
  }
  CHECK(get_link(netlink, "lo").up);
}

TEST_CASE_METHOD(Host, "an interface moves to another namespace", "[host][network]") {
  NEEDS(root_problem());
  const NetNs one = NetNs::create(unique("wrennt-one-"));
  const NetNs two = NetNs::create(unique("wrennt-two-"));
  auto in_one = NetlinkSocket::open_in(one.fd());
  auto in_two = NetlinkSocket::open_in(two.fd());
  create_veth(in_one, {.name = "a", .peer_name = "b"});
  move_link(in_one, get_link(in_one, "b").index, two.fd());
  CHECK_FALSE(find_link(in_one, "b"));
  CHECK(find_link(in_two, "b"));
}

TEST_CASE_METHOD(Host, "namespaces are found again by name, and their leftovers removed", "[host][network]") {
  NEEDS(root_problem());
  const std::string name = unique("wrennt-ns-");
  {
    NetNs first = NetNs::create(name);
    CHECK(errno_of([&] { NetNs::create(name); }) == EEXIST);
    first.release();
  }
  CHECK(list_netns(name) == std::vector<std::string>{name});
  {
    const auto again = NetNs::adopt(name);
    REQUIRE(again);
    const int ours =
        get_link(*std::make_unique<NetlinkSocket>(NetlinkSocket::open_in(again->fd())), "lo").index;
    CHECK(ours == 1);
  }
  CHECK_FALSE(NetNs::adopt(name));
  CHECK_FALSE(remove_netns(name));

  // What a crash between file and mount leaves.
  open_file(netns_path(name), O_RDONLY | O_CREAT | O_EXCL).reset();
  CHECK_FALSE(NetNs::adopt(name));
  CHECK(remove_netns(name));

  // A failure inside leaves nothing.
  CHECK_THROWS_AS(NetNs::create(name, [] { throw_error(ErrorCode::aborted, "no"); }), Error);
  CHECK(list_netns(name).empty());
  CHECK_THROWS_AS(NetNs::create("../escape"), Error);
  CHECK_THROWS_AS(NetNs::create(""), Error);
}

TEST_CASE_METHOD(Host, "run_in_netns leaves this thread where it is and rethrows", "[host][network]") {
  NEEDS(root_problem());
  const NetNs netns = NetNs::create(unique("wrennt-ns-"));
  const auto links_here = [] {
    auto netlink = NetlinkSocket::open();
    return list_links(netlink, "").size();
  };
  const auto before = links_here();
  std::size_t there = 0;
  run_in_netns(netns.fd(), [&] { there = links_here(); });
  CHECK(there == 1);
  CHECK(links_here() == before);
  CHECK_THROWS_AS(run_in_netns(netns.fd(), [] { throw_error(ErrorCode::aborted, "no"); }), Error);
  const Fd file = open_file("/dev/null", O_RDONLY);
  CHECK(errno_of([&] { run_in_netns(file, [] {}); }) == EINVAL);
}

TEST_CASE_METHOD(Host, "a persistent TAP waits for its owner", "[host][network]") {
  NEEDS(root_problem());
  const NetNs netns = NetNs::create(unique("wrennt-ns-"));
  auto netlink = NetlinkSocket::open_in(netns.fd());
  run_in_netns(netns.fd(), [&] {
    Fd tap = open_tap("tap0", {.owner = 12345, .persistent = true});
    CHECK(errno_of([&] { open_tap("tap0", {.owner = 12345, .persistent = true}); }) == EBUSY);
    tap.reset();
    CHECK(find_link(netlink, "tap0"));
    tap = open_tap("tap0", {.persistent = false});
    CHECK_THROWS_AS(open_tap("a-name-that-is-too-long", {}), Error);
  });
  CHECK_FALSE(find_link(netlink, "tap0"));
}

TEST_CASE_METHOD(Host, "packet filter rules: applied whole or not at all, in their namespace, and gone again",
                 "[host][network]") {
  NEEDS(root_problem());
  const NetNs netns = NetNs::create(unique("wrennt-ns-"));
  NEEDS(nft_problem(netns.fd()));
  apply_nft(
      "table inet wrennt {\n  chain forward {\n    type filter hook forward priority 0; policy drop;\n"
      "    ip daddr 169.254.169.254 drop\n  }\n}\n",
      netns.fd());
  CHECK(list_nft(netns.fd()).find("169.254.169.254") != std::string::npos);
  CHECK(list_nft().find("wrennt") == std::string::npos);
  try {
    apply_nft("add table inet wrennt2\nadd rule inet wrennt nochain drop\n", netns.fd());
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::failed_precondition);
    CHECK(std::string_view(error.what()).find("nochain") != std::string_view::npos);
  }
  CHECK(list_nft(netns.fd()).find("wrennt2") == std::string::npos);
  delete_nft_table("inet", "wrennt", netns.fd());
  CHECK(list_nft(netns.fd()).empty());
  CHECK_NOTHROW(delete_nft_table("inet", "wrennt", netns.fd()));
}
