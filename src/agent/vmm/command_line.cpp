#include "agent/vmm/command_line.h"

#include "core/base/error.h"

namespace wrenn::agent::vmm {

std::string kernel_command_line(const BootParameters& parameters) {
  // reboot=t panic=-1: a panic resets the machine at once by a triple fault, which works without a keyboard
  // controller, and the VMM ends instead of restarting.
  std::string line = "console=ttyS0 reboot=t panic=-1 root=/dev/vda rootfstype=ext4 rw";
  line += parameters.verbose_console ? " loglevel=7" : " quiet loglevel=1";
  // The CPU's own random numbers count: nothing waits for entropy in a machine that has just begun.
  line += " random.trust_cpu=on";
  // The guest's monitors would only ever tell that the host was busy.
  line += " nowatchdog nmi_watchdog=0";
  // Work at boot that buys a capsule nothing: self-tests of ciphers, rewriting locks for one CPU, security
  // modules without a policy, waiting for RCU grace periods. 3.5 s of CPU time to envd became 2.2 s under
  // TCG.
  line += " cryptomgr.notests=1 noreplace-smp lsm=landlock audit=0 rcupdate.rcu_expedited=1 init_on_alloc=0";
  if (parameters.acceleration == Acceleration::kvm) {
    // The time comes from kvm-clock. Where the host is emulated itself, looking for the clock of a PC besides
    // takes 16 s of a boot of 28 s, and then it is "broken or not accessible" [measured in tests/lab].
    line += " clocksource=kvm-clock initcall_blacklist=cmos_init";
  } else {
    // A microvm with ACPI has no timer that the kernel could measure the TSC against, and without a TSC it
    // has no time at all and hangs. Under TCG the guest reads the host's counter, so its frequency is known.
    line += fmt::format(" tsc_early_khz={} tsc=reliable no_timer_check", parameters.tsc_khz);
    // QEMU 7.2 finds translated code by its virtual address: with randomised addresses every exec is
    // translated anew, 2,800 blocks and 60 ms for `true` instead of 110 blocks and 11 ms [measured]. What the
    // guest loses is one of its own defences; the wall around it is the VMM.
    line += " norandmaps";
  }
  if (parameters.configure_network) line += " ip=169.254.0.21::169.254.0.22:255.255.255.252:capsule:eth0:off";
  line += " init=" + parameters.init;
  if (!parameters.more.empty()) line += " " + parameters.more;
  return line;
}

}  // namespace wrenn::agent::vmm
