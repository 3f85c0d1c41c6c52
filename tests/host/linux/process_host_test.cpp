#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "core/base/error.h"
#include "core/base/text.h"
#include "host_test.h"
#include "linux/cgroup.h"
#include "linux/command.h"
#include "linux/file.h"
#include "linux/netns.h"
#include "linux/procfs.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::sys;
using namespace wrenn::host_test;
using namespace std::chrono_literals;

namespace {

SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  options.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  return options;
}

std::string link_text(const std::string& path) {
  char target[200];
  const auto length = ::readlink(path.c_str(), target, sizeof(target));
  return std::string(target, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
}

CgroupDir make_group(const char* suffix = "") {
  return CgroupDir::create(*own_cgroup(), fmt::format("wrennt-{}{}", ::getpid(), suffix));
}

std::string controller_problem(const char* controller) {
  const auto own = own_cgroup();
  const std::string text = read_file(*own + "/cgroup.controllers", 4096);
  for (const auto word : split(trim(text), ' '))
    if (word == controller) return {};
  return fmt::format("the cgroup v2 controller \"{}\" is not offered in {}", controller, *own);
}

}  // namespace

TEST_CASE_METHOD(Host, "a process starts in namespace and cgroup, as another user, and its status comes back",
                 "[host][process]") {
  NEEDS(root_problem());
  NEEDS(cgroup_problem());
  const NetNs netns = NetNs::create(fmt::format("wrennt-{}", ::getpid()));
  const CgroupDir group = make_group();
  const std::string outer = link_text("/proc/self/ns/net");
  for (const bool by_write : {false, true}) {
    CAPTURE(by_write);
    auto options = shell(
        "id -u; id -g; id -G; readlink /proc/self/ns/net; sed -n 's/^0:://p' /proc/self/cgroup;"
        " grep CapEff /proc/self/status; exit 42");
    options.netns = netns.fd();
    options.cgroup = group.fd();
    options.join_cgroup_by_write = by_write;
    options.identity = ProcessIdentity{12345, 12346, {12347, 12348}};
    const auto result = run_command(std::move(options), {}, 10s);
    CHECK(result.status.code == 42);
    const auto lines = split(result.output, '\n');
    REQUIRE(lines.size() >= 6);
    CHECK(lines[0] == "12345");
    CHECK(lines[1] == "12346");
    CHECK(lines[2] == "12346 12347 12348");
    CHECK(lines[3].starts_with("net:["));
    CHECK(lines[3] != outer);
    CHECK(lines[4].ends_with(fmt::format("/wrennt-{}", ::getpid())));
    CHECK(lines[5] == "CapEff:\t0000000000000000");
  }
}

TEST_CASE_METHOD(Host, "a failed change into namespace or cgroup names its step", "[host][process]") {
  NEEDS(root_problem());
  const Fd file = open_file("/dev/null", O_RDWR);
  const Fd directory = open_directory("/tmp");
  const auto failure = [](const SpawnOptions& options) {
    try {
      Process::spawn(options);
    } catch (const SystemError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  auto options = shell("true");
  options.netns = file;
  CHECK(failure(options) == "start /bin/sh: enter the network namespace: Invalid argument");
  options.netns = {};
  options.cgroup = directory;
  CHECK(failure(options).find("cgroup.procs") != std::string::npos);
  options.cgroup = {};
  options.identity = ProcessIdentity{12345, 12345, {}};
  options.program = "/root/none";
  CHECK(failure(options).starts_with("start /root/none: exec: "));
}

TEST_CASE_METHOD(Host, "a child of another user does not share our memory", "[host][process]") {
  NEEDS(root_problem());
  // Sharing would also make us undumpable: the owner of /proc/self/ files tells.
  struct stat before{};
  REQUIRE(::stat("/proc/self/environ", &before) == 0);
  auto options = shell("true");
  options.identity = ProcessIdentity{12345, 12345, {}};
  CHECK(run_command(options, {}, 10s).status.success());
  CHECK(::access("/proc/self/mem", R_OK | W_OK) == 0);
  const auto status = read_file("/proc/self/status", 100'000);
  CHECK(status.find("Uid:\t0\t0\t0\t0") != std::string::npos);
}

TEST_CASE_METHOD(Host, "a private mount namespace keeps its mounts", "[host][process]") {
  NEEDS(root_problem());
  const TempDir dir = TempDir::create("/tmp/wrenn-test-");
  auto options = shell(
      fmt::format("mount -t tmpfs none {0} && touch {0}/hidden && grep -c {0} /proc/mounts", dir.path()));
  options.new_mount_namespace = true;
  const auto result = run_command(options, {}, 10s);
  CHECK(result.status.success());
  CHECK(result.output == "1\n");
  CHECK_FALSE(exists(dir.path() + "/hidden"));
}

TEST_CASE_METHOD(Host, "a child with a parent death signal ends with the thread that started it",
                 "[host][process]") {
  NEEDS(root_problem());
  std::optional<Process> process;
  std::thread([&] {
    auto options = shell("exec sleep 60");
    options.parent_death_signal = SIGTERM;
    options.identity = ProcessIdentity{12345, 12345, {}};  // changing the user would clear it
    process = Process::spawn(options);
  }).join();
  const auto status = process->wait(5s);
  REQUIRE(status);
  CHECK(status->signal == SIGTERM);
}

TEST_CASE_METHOD(Host, "a cgroup is made, filled, killed and removed", "[host][cgroup]") {
  NEEDS(root_problem());
  NEEDS(cgroup_problem());
  CgroupDir group = make_group();
  CHECK_THROWS_AS(make_group(), SystemError);
  CHECK_FALSE(group.populated());
  std::vector<Process> processes;
  for (int i = 0; i < 3; ++i) {
    auto options = shell("sleep 60 & exec sleep 60");
    options.cgroup = group.fd();
    options.new_session = i % 2 == 0;
    processes.push_back(Process::spawn(options));
  }
  // One that comes later.
  processes.push_back(Process::spawn(shell("exec sleep 60")));
  group.attach(processes.back().pid());
  CHECK(group.populated());
  CHECK(group.pids().size() >= 4);
  CHECK(list_cgroups(*own_cgroup(), "wrennt-").size() == 1);
  group.kill();
  for (Process& process : processes) {
    const auto status = process.wait(5s);
    REQUIRE(status);
    CHECK(status->signal == SIGKILL);
  }
  const std::string path = group.release();
  auto again = CgroupDir::adopt(path);
  REQUIRE(again);
  const CgroupDir below = CgroupDir::create(path, "below");
  again->remove(2s);  // with what is below
  CHECK_FALSE(CgroupDir::adopt(path));
}

TEST_CASE_METHOD(Host, "removing a cgroup takes its processes along", "[host][cgroup]") {
  NEEDS(root_problem());
  NEEDS(cgroup_problem());
  std::optional<Process> process;
  {
    const CgroupDir group = make_group();
    auto options = shell("exec sleep 60");
    options.cgroup = group.fd();
    process = Process::spawn(options);
  }
  const auto status = process->wait(5s);
  REQUIRE(status);
  CHECK(status->signal == SIGKILL);
}

TEST_CASE_METHOD(Host, "limits without their controller say so, and CPU time is always known",
                 "[host][cgroup]") {
  NEEDS(root_problem());
  NEEDS(cgroup_problem());
  CgroupDir group = make_group();
  const std::string folder = group.path();
  CHECK(group.set_memory_max(64 << 20) == exists(folder + "/memory.max"));
  CHECK(group.set_swap_max(0) == exists(folder + "/memory.swap.max"));
  CHECK(group.set_cpu_max(50'000) == exists(folder + "/cpu.max"));
  CHECK(group.set_cpu_weight(50) == exists(folder + "/cpu.weight"));
  CHECK(group.set_pids_max(10) == exists(folder + "/pids.max"));
  CHECK(group.memory_bytes().has_value() == exists(folder + "/memory.current"));
  auto options = shell("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done");
  options.cgroup = group.fd();
  CHECK(run_command(options, {}, 20s).status.success());
  CHECK(group.cpu_use().total_us > 1000);
  CHECK(group.enable_controllers({"no-such-controller"}).empty());
}

TEST_CASE_METHOD(Host, "limits hold: tasks and memory", "[host][cgroup]") {
  NEEDS(root_problem());
  NEEDS(cgroup_problem());
  NEEDS(controller_problem("memory"));
  NEEDS(controller_problem("pids"));
  const std::string parent = prepare_cgroup_subtree("wrennt-leaf", {"cpu", "memory", "pids", "io"});
  CgroupDir group = CgroupDir::create(parent, fmt::format("wrennt-{}", ::getpid()));
  REQUIRE(group.set_pids_max(3));
  auto forks = shell("sleep 5 & sleep 5 & sleep 5 & sleep 5 & wait");
  forks.cgroup = group.fd();
  CHECK_FALSE(run_command(forks, {}, 10s).error.empty());
  REQUIRE(group.set_pids_max(100));
  REQUIRE(group.set_memory_max(32 << 20));
  group.set_swap_max(0);
  auto eater = shell("head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null");
  eater.cgroup = group.fd();
  CHECK_FALSE(run_command(eater, {}, 20s).status.success());
}
