#define CATCH_CONFIG_RUNNER
#include <linux/capability.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "core/base/error.h"
#include "host_test.h"
#include "linux/capabilities.h"
#include "linux/cgroup.h"
#include "linux/device_mapper.h"
#include "linux/link.h"
#include "linux/loop_device.h"
#include "linux/mount_point.h"
#include "linux/netns.h"
#include "linux/nft.h"
#include "linux/procfs.h"

using namespace wrenn;

namespace {

int skips = 0;
std::string running_test;

// Prints the counts of the suite contract (tests/run.sh) as the last line.
class Counts : public Catch::TestEventListenerBase {
 public:
  using TestEventListenerBase::TestEventListenerBase;
  void testCaseStarting(const Catch::TestCaseInfo& info) override { running_test = info.name; }
  void testRunEnded(const Catch::TestRunStats& stats) override {
    const auto& cases = stats.totals.testCases;
    passed = static_cast<int>(cases.passed) - skips;
    failed = static_cast<int>(cases.failed + cases.failedButOk);
  }
  static int passed;
  static int failed;
};
int Counts::passed = 0;
int Counts::failed = 0;
CATCH_REGISTER_LISTENER(Counts)

}  // namespace

namespace wrenn::host_test {

std::vector<std::string> take_census() {
  std::vector<std::string> lines;
  const auto add = [&](const char* kind, const std::string& what) {
    lines.push_back(fmt::format("{} {}", kind, what));
  };
  for (const std::string& name : sys::list_netns("")) add("netns", name);
  {
    auto netlink = sys::NetlinkSocket::open();
    for (const auto& link : sys::list_links(netlink, "")) add("link", link.name);
    for (const auto& route : sys::list_routes(netlink)) add("route", to_string(route.destination));
  }
  for (const auto& loop : sys::list_loop_devices()) add("loop", loop.path + " " + loop.backing_file);
  if (sys::device_mapper_problem({}).empty())
    for (const std::string& name : sys::list_dm_devices("")) add("dm", name);
  if (const auto own = sys::own_cgroup())
    for (const std::string& name : sys::list_cgroups(*own, "")) add("cgroup", name);
  for (const auto& mount : sys::list_mounts()) add("mount", mount.target);
  if (sys::nft_problem().empty()) add("nft", sys::list_nft());
  for (const pid_t pid : sys::list_pids())
    if (const auto stat = sys::read_proc_stat(pid); stat && stat->parent == ::getpid())
      add("child", fmt::format("{} {}", pid, stat->name));
  for (const auto& fd : sys::own_open_fds()) add("fd", fmt::format("{} {}", fd.number, fd.target));
  std::sort(lines.begin(), lines.end());
  return lines;
}

Host::Host() : before_(take_census()) {}

Host::~Host() {
  std::vector<std::string> after = take_census();
  for (int i = 0; i < 40 && after != before_; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    after = take_census();
  }
  std::vector<std::string> left;
  std::vector<std::string> taken;
  std::set_difference(after.begin(), after.end(), before_.begin(), before_.end(), std::back_inserter(left));
  std::set_difference(before_.begin(), before_.end(), after.begin(), after.end(), std::back_inserter(taken));
  CHECK(left == std::vector<std::string>{});
  CHECK(taken == std::vector<std::string>{});
}

void note_skip(const std::string& reason) {
  ++skips;
  std::printf("skipped: %s: %s\n", running_test.c_str(), reason.c_str());
}

std::string root_problem() {
  const auto missing = sys::missing_capabilities(
      sys::effective_capabilities(),
      {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID, CAP_MKNOD, CAP_DAC_OVERRIDE, CAP_KILL});
  return missing.empty() ? "" : fmt::format("needs root: {} and others are missing", missing.front());
}

}  // namespace wrenn::host_test

int main(int argc, char** argv) {
  // The first namespace makes /run/netns a mount, which stays: not a leak of the test that happens to come
  // first.
  if (host_test::root_problem().empty()) sys::NetNs::create(fmt::format("wrennt-{}", ::getpid()));
  const int result = Catch::Session().run(argc, argv);
  std::printf("%d passed, %d failed, %d skipped\n", Counts::passed, Counts::failed, skips);
  return result;
}
