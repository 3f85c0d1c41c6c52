// Figures, not checks: host_linux "[timing]". One JSON line each, times in microseconds.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "core/base/error.h"
#include "host_test.h"
#include "linux/cgroup.h"
#include "linux/command.h"
#include "linux/link.h"
#include "linux/netns.h"
#include "linux/nft.h"
#include "linux/page_map.h"
#include "linux/sysctl.h"
#include "linux/tap.h"

using namespace wrenn;
using namespace wrenn::sys;
using namespace wrenn::host_test;
using namespace std::chrono_literals;

namespace {

class Samples {
 public:
  template <typename Work>
  void time(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    values_.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  void print(const std::string& what) {
    std::sort(values_.begin(), values_.end());
    std::printf("{\"what\":\"%s\",\"n\":%zu,\"p50_us\":%.0f,\"p99_us\":%.0f}\n", what.c_str(), values_.size(),
                values_[values_.size() / 2], values_[values_.size() * 99 / 100]);
  }

 private:
  std::vector<double> values_;
};

constexpr int kRounds = 100;

// Touched private memory of this process, as a large agent has.
class Ballast {
 public:
  explicit Ballast(std::size_t bytes) : bytes_(bytes) {
    base_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::madvise(base_, bytes, MADV_NOHUGEPAGE);
    std::memset(base_, 1, bytes);
  }
  ~Ballast() { ::munmap(base_, bytes_); }
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;
  char* base() { return static_cast<char*>(base_); }

 private:
  std::size_t bytes_;
  void* base_;
};

void time_spawn(const std::string& what, const SpawnOptions& options) {
  Samples samples;
  for (int i = 0; i < kRounds; ++i) {
    std::optional<Process> process;
    samples.time([&] { process = Process::spawn(options); });
    process->wait(5s);
  }
  samples.print(what);
}

}  // namespace

TEST_CASE("timing of process starts", "[.][timing]") {
  NEEDS(root_problem());
  SpawnOptions options;
  options.argv = {"/bin/true"};
  for (const std::size_t mib : {0, 32, 500}) {
    const Ballast ballast(std::max<std::size_t>(mib, 1) << 20);
    const std::string size = fmt::format(", {} MiB parent", mib);
    time_spawn("spawn, same user" + size, options);
    auto other = options;
    other.identity = ProcessIdentity{12345, 12345, {}};
    time_spawn("spawn, other user" + size, other);
  }
  if (cgroup_problem().empty()) {
    const CgroupDir group = CgroupDir::create(*own_cgroup(), fmt::format("wrennt-{}", ::getpid()));
    options.cgroup = group.fd();
    time_spawn("spawn into cgroup at clone", options);
    options.join_cgroup_by_write = true;
    time_spawn("spawn into cgroup by write", options);
  }
}

TEST_CASE("timing of a network slot", "[.][timing]") {
  NEEDS(root_problem());
  Samples create;
  Samples rules;
  Samples remove;
  auto outside = NetlinkSocket::open();
  const bool nft = nft_problem().empty();
  for (int i = 0; i < kRounds; ++i) {
    const std::string veth = fmt::format("wrt{}", i);
    std::optional<NetNs> netns;
    Fd tap;
    create.time([&] {
      std::optional<NetlinkSocket> inside;
      netns = NetNs::create(fmt::format("wrennt-{}", i), [&] {
        inside.emplace(NetlinkSocket::open());
        tap = open_tap("tap0", {.owner = 12345});
        write_sysctl("net.ipv4.ip_forward", "1");
      });
      create_veth(outside, {.name = veth, .peer_name = "eth0", .peer_netns = netns->fd()});
      add_address(outside, get_link(outside, veth).index, {Ipv4::of(10, 12, 255, 252), 31});
      add_route(outside, {{Ipv4::of(10, 11, 255, 250), 32}, Ipv4::of(10, 12, 255, 253), 0});
      change_link(*inside, 1, {.up = true});
      const int eth0_index = get_link(*inside, "eth0").index;
      change_link(*inside, eth0_index, {.up = true});
      add_address(*inside, eth0_index, {Ipv4::of(10, 12, 255, 253), 31});
      const int tap_index = get_link(*inside, "tap0").index;
      add_address(*inside, tap_index, {Ipv4::of(169, 254, 0, 22), 30});
      change_link(*inside, tap_index, {.up = true, .tx_queue_length = 5000});
      add_route(*inside, {{Ipv4{}, 0}, Ipv4::of(10, 12, 255, 252), 0});
    });
    if (nft)
      rules.time([&] {
        apply_nft(
            "table ip wrennt {\n chain post { type nat hook postrouting priority 100;\n oifname eth0 ip "
            "saddr "
            "169.254.0.21 snat to 10.12.255.253\n }\n chain pre { type nat hook prerouting priority -100;\n "
            "iifname "
            "eth0 ip daddr 10.11.255.250 dnat to 169.254.0.21\n }\n}\n",
            netns->fd());
      });
    remove.time([&] {
      tap.reset();
      delete_link(outside, veth);
      netns.reset();
    });
  }
  create.print("network slot: netns, veth, TAP, addresses, routes");
  if (nft) rules.print("nft -f in the namespace");
  remove.print("network slot: remove");
}

TEST_CASE("timing of dirty pages", "[.][timing]") {
  constexpr std::size_t kBytes = 256 << 20;
  const Fd file = make_memfd("base");
  write_full(file, std::string(kBytes, 'x'));
  auto* base =
      static_cast<char*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0));
  for (std::size_t at = 0; at < kBytes; at += page_size_bytes() * 16) base[at] = 'y';
  auto map = PageMap::open(::getpid());
  Samples scan;
  Samples read;
  for (int i = 0; i < kRounds; ++i) {
    scan.time([&] { map->scan(reinterpret_cast<std::uintptr_t>(base), kBytes); });
    read.time([&] { map->read_entries(reinterpret_cast<std::uintptr_t>(base), kBytes); });
  }
  ::munmap(base, kBytes);
  scan.print("dirty pages of 256 MiB, 4096 runs, PAGEMAP_SCAN");
  read.print("dirty pages of 256 MiB, 4096 runs, pagemap entries");
}
