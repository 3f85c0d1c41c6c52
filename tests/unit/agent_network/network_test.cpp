#include <catch2/catch.hpp>

#include <random>
#include <set>

#include "agent/network/rules.h"
#include "agent/network/slot.h"
#include "agent/network/slot_allocator.h"

using namespace wrenn;
using namespace wrenn::agent::network;

TEST_CASE("names and addresses of a slot follow the formulas") {
  struct Row {
    int index;
    const char* reachable;
    const char* veth;
    const char* peer;
  };
  const Row rows[] = {{1, "10.11.0.1", "10.12.0.2", "10.12.0.3"},
                      {127, "10.11.0.127", "10.12.0.254", "10.12.0.255"},
                      {128, "10.11.0.128", "10.12.1.0", "10.12.1.1"},
                      {256, "10.11.1.0", "10.12.2.0", "10.12.2.1"},
                      {32767, "10.11.127.255", "10.12.255.254", "10.12.255.255"}};
  for (const Row& row : rows) {
    CAPTURE(row.index);
    const SlotPlan plan = plan_slot(row.index);
    CHECK(sys::to_string(plan.host_reachable) == row.reachable);
    CHECK(sys::to_string(plan.veth) == row.veth);
    CHECK(sys::to_string(plan.peer) == row.peer);
    CHECK(plan.netns == "wrenn-ns-" + std::to_string(row.index));
    if (row.index < 10'000) CHECK(plan.veth_name == "wrenn-veth-" + std::to_string(row.index));
    CHECK(plan.veth_name.size() <= 15);  // IFNAMSIZ
    CHECK(slot_of_name(plan.netns) == row.index);
    CHECK(slot_of_name(plan.veth_name) == row.index);
  }
  CHECK(plan_slot(10'000).veth_name == "wrenn-veth-x7ps");  // five digits would not fit
  CHECK(plan_slot(32'767).veth_name == "wrenn-veth-xpa7");
  std::set<std::uint32_t> seen;
  for (int index = kFirstSlot; index <= kLastSlot; ++index) {
    const SlotPlan plan = plan_slot(index);
    for (const sys::Ipv4 address : {plan.host_reachable, plan.veth, plan.peer}) seen.insert(address.value);
    REQUIRE(plan.veth_name.size() <= 15);
    REQUIRE(slot_of_name(plan.veth_name) == index);
  }
  CHECK(seen.size() == 3U * kLastSlot);
}

TEST_CASE("only our own names belong to a slot") {
  for (const char* name : {"", "wrenn-ns-", "wrenn-ns-0", "wrenn-ns-32768", "wrenn-ns-1x", "wrenn-ns-01",
                           "wrenn-veth--1", "wrenn-veth-99999999999", "wrenn-veth-10000", "wrenn-veth-x001",
                           "wrenn-veth-xzzz", "wrenn-veth-xPA7", "wrenn-veth-x7p", "eth0", "xwrenn-ns-1"}) {
    CAPTURE(name);
    CHECK_FALSE(slot_of_name(name));
  }
}

TEST_CASE("the host's rules name every closed range and keep guests apart") {
  const std::string text = render_host_rules({});
  for (const char* closed : {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                             "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"})
    CHECK(text.find(closed) != std::string::npos);
  CHECK(text.starts_with("table inet wrenn {}\ndelete table inet wrenn\n"));  // replaces in one transaction
  CHECK(text.find("iifname \"wrenn-veth-*\" oifname \"wrenn-veth-*\" drop") != std::string::npos);
  HostRules open;
  open.closed.clear();
  CHECK(render_host_rules(open).find("elements") == std::string::npos);
}

TEST_CASE("a slot's rules carry its own addresses only") {
  const SlotPlan plan = plan_slot(300);
  const std::string text = render_slot_rules(plan);
  CHECK(text.find("ip daddr 10.11.1.44 dnat ip to 169.254.0.21") != std::string::npos);
  CHECK(text.find("snat ip to 10.12.2.89") != std::string::npos);
  CHECK(text.find("ether saddr != 02:FC:00:00:00:05 drop") != std::string::npos);
  CHECK(text.find("ip saddr != 169.254.0.21 drop") != std::string::npos);
}

TEST_CASE("slots are given out lowest first") {
  SlotAllocator slots;
  CHECK(slots.allocate() == 1);
  CHECK(slots.allocate() == 2);
  CHECK(slots.take(3));
  CHECK_FALSE(slots.take(3));
  CHECK_FALSE(slots.take(0));
  CHECK_FALSE(slots.take(kLastSlot + 1));
  CHECK(slots.allocate() == 4);
  slots.release(2);
  CHECK(slots.allocate() == 2);
  CHECK(slots.count() == 4);
}

TEST_CASE("any order of taking and giving back keeps the books right") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  SlotAllocator slots;
  std::set<int> taken;
  for (int i = 0; i < 20'000; ++i) {
    const auto choice = random() % 4;
    if (choice < 2) {
      int expected = kFirstSlot;
      while (taken.contains(expected)) ++expected;
      REQUIRE(slots.allocate() == expected);
      taken.insert(expected);
    } else if (choice == 2 && !taken.empty()) {
      auto at = taken.begin();
      std::advance(at, static_cast<long>(random() % taken.size()));
      slots.release(*at);
      taken.erase(at);
    } else {
      const int index = static_cast<int>(random() % 200) + 1;
      REQUIRE(slots.take(index) == taken.insert(index).second);
    }
    REQUIRE(slots.count() == taken.size());
    if (taken.size() > 150)
      while (!taken.empty()) slots.release(*taken.begin()), taken.erase(taken.begin());
  }
}

TEST_CASE("when all are taken there is none") {
  SlotAllocator slots;
  for (int i = kFirstSlot; i <= kLastSlot; ++i) REQUIRE(slots.allocate());
  CHECK_FALSE(slots.allocate());
  slots.release(kLastSlot);
  CHECK(slots.allocate() == kLastSlot);
}
