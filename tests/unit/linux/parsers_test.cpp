#include <catch2/catch.hpp>

#include <linux/capability.h>

#include "linux/capabilities.h"
#include "linux/cgroup.h"
#include "linux/ipv4.h"
#include "linux/mount_point.h"
#include "linux/passwd.h"
#include "linux/procfs.h"

using namespace wrenn::sys;

TEST_CASE("/proc/PID/stat with names that want to be fields", "[linux][procfs]") {
  const std::string tail =
      " S 17 42 42 0 -1 4194560 1 2 3 4 500 600 7 8 20 0 9 0 123456 10000 250 18446744073709551615 1 1 0 0\n";
  for (const std::string name : {"sh", "a b", "x) R 1", ") (", "tab\there", "line\nbreak", "", "((()))"}) {
    CAPTURE(name);
    const auto stat = parse_proc_stat("42 (" + name + ")" + tail);
    REQUIRE(stat);
    CHECK(stat->pid == 42);
    CHECK(stat->name == name);
    CHECK(stat->state == 'S');
    CHECK(stat->parent == 17);
    CHECK(stat->user_ticks == 500);
    CHECK(stat->system_ticks == 600);
    CHECK(stat->threads == 9);
    CHECK(stat->start_time == 123456);
  }
  CHECK_FALSE(parse_proc_stat(""));
  CHECK_FALSE(parse_proc_stat("42 (sh"));
  CHECK_FALSE(parse_proc_stat("42 (sh) S 17"));
  CHECK_FALSE(parse_proc_stat("x (sh)" + tail));
}

TEST_CASE("our own process in /proc", "[linux][procfs]") {
  const auto stat = read_proc_stat(::getpid());
  REQUIRE(stat);
  CHECK(stat->pid == ::getpid());
  CHECK(stat->parent == ::getppid());
  CHECK(stat->start_time > 0);
  const auto resident = resident_bytes(::getpid());
  REQUIRE(resident);
  CHECK(*resident > 100'000);
  const auto use = read_memory_use(::getpid());
  REQUIRE(use);
  CHECK(use->resident >= use->proportional);
  CHECK(use->private_dirty > 0);
  const auto memory = read_machine_memory();
  CHECK(memory.total > memory.available);
  CHECK_FALSE(read_proc_stat(4'194'305));  // above the largest pid
  CHECK_FALSE(resident_bytes(4'194'305));

  bool found = false;
  for (const OpenFd& fd : own_open_fds()) found = found || fd.number == 0;
  CHECK(found);
}

TEST_CASE("lines of /proc/PID/maps", "[linux][procfs]") {
  const auto mapping =
      parse_mapping("7f12a0000000-7f12a8000000 rw-p 00001000 fe:00 1234     /a path/with spaces");
  REQUIRE(mapping);
  CHECK(mapping->start == 0x7f12a0000000);
  CHECK(mapping->length() == 0x8000000);
  CHECK(mapping->file_offset == 0x1000);
  CHECK(mapping->permissions == "rw-p");
  CHECK(mapping->path == "/a path/with spaces");
  const auto anonymous = parse_mapping("ffff0000-ffff1000 ---p 00000000 00:00 0 ");
  REQUIRE(anonymous);
  CHECK(anonymous->path.empty());
  CHECK_FALSE(parse_mapping(""));
  CHECK_FALSE(parse_mapping("7f12 rw-p 0 00:00 0"));
  CHECK_FALSE(parse_mapping("20-10 rw-p 0 00:00 0"));
}

TEST_CASE("smaps_rollup and meminfo: names that are prefixes of others", "[linux][procfs]") {
  const MemoryUse use = parse_smaps_rollup(
      "55d0-7ffc ---p 00000000 00:00 0    [rollup]\nRss:    1000 kB\nPss:     800 kB\nPss_Dirty: 700 kB\n"
      "Private_Clean: 5 kB\nPrivate_Dirty:   600 kB\nSwapPss: 3 kB\nSwap:  4 kB\n");
  CHECK(use.resident == 1000 * 1024);
  CHECK(use.proportional == 800 * 1024);
  CHECK(use.private_dirty == 600 * 1024);
  CHECK(use.swapped == 4 * 1024);
  const MachineMemory memory =
      parse_meminfo("MemTotal: 10 kB\nMemFree: 2 kB\nMemAvailable: 5 kB\nCached: 3 kB\n");
  CHECK(memory.total == 10 * 1024);
  CHECK(memory.free == 2 * 1024);
  CHECK(memory.available == 5 * 1024);
  CHECK(memory.cached == 3 * 1024);
}

TEST_CASE("the CPU times of the machine are in the first line of /proc/stat", "[linux][procfs]") {
  const auto times = parse_cpu_times("cpu  100 10 20 1000 50 1 2 3 40 5\ncpu0 1 2 3 4\n");
  REQUIRE(times);
  CHECK(times->busy == 133);  // the guests' 40 and 5 are part of user and nice
  CHECK(times->stolen == 3);
  CHECK(times->total == 1186);
  const auto old = parse_cpu_times("cpu  1 2 3 4");  // a kernel with fewer columns
  REQUIRE(old);
  CHECK(old->busy == 6);
  CHECK(old->stolen == 0);
  CHECK(old->total == 10);
  for (const char* bad : {"", "\n", "cpu", "cpu ", "cpu0 1 2 3 4\n", "cpus 1 2 3 4\n", "cpu  1 2 3\n", "cpu  a b c d\n",
                          "cpu  1 -2 3 4\n", "cpu  1 2 3 4 5 x 7 8\n",
                          "cpu\n 1 2 3 4\n", "cpu  1 2 3 99999999999999999999\n", "intr 1\ncpu  1 2 3 4\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_cpu_times(bad).has_value());
  }
  const auto now = read_cpu_times();
  CHECK(now.busy > 0);
  CHECK(now.total >= now.busy + now.stolen);
}

TEST_CASE("the busy share: of all time, unknown when counters go back", "[linux][procfs]") {
  const CpuTimes before{.busy = 1000, .stolen = 10, .total = 5000};
  CHECK(busy_share(before, {.busy = 1050, .stolen = 20, .total = 5200}) == 0.25);
  CHECK(busy_share(before, {.busy = 1000, .stolen = 110, .total = 5100}) == 0.0);
  CHECK(busy_share(before, {.busy = 1100, .stolen = 10, .total = 5100}) == 1.0);
  CHECK(busy_share(before, {.busy = 1200, .stolen = 10, .total = 5100}) == 1.0);  // idle went back
  CHECK_FALSE(busy_share(before, before).has_value());
  CHECK_FALSE(busy_share(before, {.busy = 999, .stolen = 10, .total = 5100}).has_value());
  CHECK_FALSE(busy_share(before, {.busy = 1001, .stolen = 10, .total = 4999}).has_value());
  CHECK_FALSE(busy_share(before, {}).has_value());
}

TEST_CASE("/etc/passwd and /etc/group", "[linux][passwd]") {
  const auto users = parse_passwd(
      "root:x:0:0:root:/root:/bin/bash\n"
      "# comment:x:1:1:::\n"
      "broken:x:1\n"
      "negative:x:-1:0::/:\n"
      "huge:x:4294967296:0::/:\n"
      "+::::::\n"
      "ann:x:1000:1000:Ann,,,:/home/ann:\n"
      "ann2:x:1000:1001::/home/ann2:/bin/sh");
  REQUIRE(users.size() == 3);
  CHECK(users[0].name == "root");
  CHECK(users[1].home == "/home/ann");
  CHECK(users[1].shell.empty());
  CHECK(users[2].shell == "/bin/sh");

  const Accounts accounts(users,
                          parse_group("root:x:0:\nann:x:1000:\nkvm:x:104:ann,bob\nsudo:x:27: ann ,root\n"
                                      "same:x:104:ann\nbad:x:nan:ann\n"));
  const auto ann = accounts.user("ann");
  REQUIRE(ann);
  CHECK(ann->uid == 1000);
  CHECK(accounts.user(uid_t{1000})->name == "ann");
  CHECK_FALSE(accounts.user("bob"));
  CHECK_FALSE(accounts.user("an"));
  CHECK(accounts.groups_of(*ann) == std::vector<gid_t>{1000, 104, 27});
  CHECK(accounts.group("kvm")->members == std::vector<std::string>{"ann", "bob"});
  CHECK_FALSE(accounts.group("bad"));

  const Accounts none = Accounts::load("/nonexistent/passwd", "/nonexistent/group");
  CHECK_FALSE(none.user("root"));
}

TEST_CASE("effective capabilities", "[linux][capabilities]") {
  const auto set =
      parse_effective_capabilities("Name:\tx\nCapPrm:\t0\nCapEff:\t0000000000201000\nCapBnd:\t1\n");
  REQUIRE(set);
  CHECK(missing_capabilities(*set, {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_CHOWN, CAP_CHECKPOINT_RESTORE}) ==
        std::vector<std::string>{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"});
  CHECK(capability_name(CAP_KILL) == "CAP_KILL");
  CHECK(capability_name(CAP_SYSLOG) == "CAP_SYSLOG");
  CHECK(capability_name(CAP_BPF) == "CAP_BPF");
  CHECK(capability_name(60) == "CAP_60");
  CHECK_FALSE(parse_effective_capabilities("CapPrm:\t0\n"));
  CHECK_FALSE(parse_effective_capabilities("CapEff:\txyz\n"));
  CHECK_NOTHROW(effective_capabilities());
}

TEST_CASE("/proc/self/cgroup and cpu.stat", "[linux][cgroup]") {
  CHECK(parse_cgroup_path("0::/system.slice/x.service\n") == "/system.slice/x.service");
  CHECK(parse_cgroup_path("9:name=systemd:/\n4:memory:/a\n0::/\n") == "/");
  CHECK_FALSE(parse_cgroup_path("4:memory:/a\n"));
  const CgroupCpuUse use = parse_cgroup_cpu("usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 0\n");
  CHECK(use.total_us == 30);
  CHECK(use.user_us == 10);
  CHECK(use.system_us == 20);
}

TEST_CASE("mountinfo: optional fields and escapes", "[linux][mount]") {
  const auto mounts = parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw\n"
      "37 35 0:4 net:[4026532] /run/netns/a\\040b\\134c rw - nsfs nsfs rw\n"
      "38 35 0:5 / /no-optional rw - tmpfs tmpfs rw\n"
      "garbage\n\n");
  REQUIRE(mounts.size() == 3);
  CHECK(mounts[0].root == "/mnt1");
  CHECK(mounts[0].target == "/mnt2");
  CHECK(mounts[0].type == "ext3");
  CHECK(mounts[0].source == "/dev/root");
  CHECK(mounts[1].target == "/run/netns/a b\\c");
  CHECK(mounts[1].root == "net:[4026532]");
  CHECK(mounts[2].type == "tmpfs");
  CHECK_FALSE(list_mounts().empty());
}

TEST_CASE("IPv4 addresses", "[linux][ipv4]") {
  CHECK(to_string(Ipv4::of(10, 11, 0, 255)) == "10.11.0.255");
  CHECK(to_string(Ipv4Prefix{Ipv4::of(10, 12, 0, 2), 31}) == "10.12.0.2/31");
  CHECK(parse_ipv4("169.254.0.21") == Ipv4::of(169, 254, 0, 21));
  CHECK(parse_ipv4("0.0.0.0") == Ipv4{});
  CHECK(parse_ipv4("255.255.255.255") == Ipv4{0xffffffff});
  for (const char* bad : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "256.1.1.1", "01.1.1.1",
                          "1.1.1.-1", "1.1.1.1 ", "+1.1.1.1", "a.b.c.d"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_ipv4(bad));
  }
  CHECK(parse_ipv4_prefix("10.0.0.0/8") == Ipv4Prefix{Ipv4::of(10, 0, 0, 0), 8});
  CHECK(parse_ipv4_prefix("0.0.0.0/0") == Ipv4Prefix{Ipv4{}, 0});
  CHECK_FALSE(parse_ipv4_prefix("10.0.0.0"));
  CHECK_FALSE(parse_ipv4_prefix("10.0.0.0/33"));
  CHECK_FALSE(parse_ipv4_prefix("10.0.0.0/"));
}
