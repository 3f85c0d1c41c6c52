#include <catch2/catch.hpp>

#include "agent/vmm/command_line.h"
#include "agent/vmm/tsc.h"
#include "core/base/text.h"

using namespace wrenn;
using namespace wrenn::agent::vmm;

namespace {

bool has_word(const std::string& line, std::string_view word) {
  for (const auto part : split(line, ' '))
    if (part == word) return true;
  return false;
}

}  // namespace

TEST_CASE("the kernel command line follows the acceleration") {
  BootParameters parameters;
  parameters.tsc_khz = 2'500'000;
  const std::string tcg = kernel_command_line(parameters);
  CHECK(has_word(tcg, "tsc_early_khz=2500000"));  // the guest hangs without
  CHECK(has_word(tcg, "root=/dev/vda"));
  CHECK(has_word(tcg, "init=/usr/local/bin/wrenn-init"));
  CHECK(has_word(tcg, "panic=-1"));
  CHECK(has_word(tcg, "quiet"));
  CHECK(has_word(tcg, "ip=169.254.0.21::169.254.0.22:255.255.255.252:capsule:eth0:off"));
  CHECK(tcg.find("kvm-clock") == std::string::npos);

  parameters.acceleration = Acceleration::kvm;
  parameters.verbose_console = true;
  parameters.configure_network = false;
  parameters.more = "extra=1 wrenn.trace";
  const std::string kvm = kernel_command_line(parameters);
  CHECK(has_word(kvm, "clocksource=kvm-clock"));
  CHECK(has_word(kvm, "initcall_blacklist=cmos_init"));
  CHECK(tcg.find("initcall_blacklist") == std::string::npos);
  CHECK(kvm.find("tsc_early_khz") == std::string::npos);
  CHECK_FALSE(has_word(kvm, "quiet"));
  CHECK(kvm.find("ip=") == std::string::npos);
  CHECK(kvm.ends_with(" extra=1 wrenn.trace"));
}

TEST_CASE("the time stamp counter's frequency is believable and stays the same") {
  const auto first = host_tsc_khz();
  CHECK(first > 400'000);
  CHECK(first < 10'000'000);
  CHECK(host_tsc_khz() == first);
}
