"""The lab: a QEMU machine without hardware virtualisation in which the production path runs (README.md)."""

import os
import re
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MEMORY_MIB = 5120
# One: with two, QEMU 7.2 may go on with a translation of code that the other CPU has just changed. Each first and each last
# virtual machine has the lab's kernel change its scheduler, and now and then all of it stood still there, at a breakpoint that
# was long gone.
CPUS = 1
# The processor's counter is the machine's own: without `tsc=reliable` every look at the clock is a trip to the emulated HPET.
# The rest is work that buys an emulated machine nothing.
KERNEL_SETTINGS = ("tsc=reliable clocksource=tsc no_timer_check nowatchdog mitigations=off nopti norandmaps nokaslr random.trust_cpu=on "
                   "cryptomgr.notests=1 lsm=landlock audit=0 init_on_alloc=0")
# SVM, but no AVX: with it, programs in a nested guest lose their connections or end as soon as they use it (QEMU 7.2).
PROCESSOR = "EPYC,-avx,-avx2,-f16c,-xsave,-xsaveopt"
NICE = int(os.environ.get("WRENN_LAB_NICE", "5"))
DATA_BYTES = 6 << 30  # sparse
# The end of the data disk is no part of its file system: what is written there marks a place in the disk's log (writelog.py).
MARKS_BYTES = 1 << 20


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Lab:
    """What is tested, as a disk, and the machines that boot with it."""

    def __init__(self, cache, build, state):
        """`cache` holds what root.sh made; `state` is a wrenn directory with kernels and images."""
        self.cache, self.build, self.state = cache, build, state
        self.work = os.path.join(cache, "run")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        self._make_disk()

    def machines_at_once(self):
        """How many of them this host has CPUs and memory for; at least one."""
        with open("/proc/meminfo") as file:
            available = int(re.search(r"MemAvailable: +(\d+) kB", file.read()).group(1)) // 1024
        return max(1, min(len(os.sched_getaffinity(0)) // CPUS, (available - 1024) // MEMORY_MIB))

    def path(self, name):
        return os.path.join(self.work, name)

    def _make_disk(self):
        staging = self.path("staging")
        programs = ["wrenn", "src/guest/guest-init", *self._host_programs()]
        for program in programs:
            os.makedirs(os.path.dirname(os.path.join(staging, "build", program)), exist_ok=True)
            run("strip", "-o", os.path.join(staging, "build", program), os.path.join(self.build, program))
        shutil.copytree(os.path.join(HERE, "inside"), os.path.join(staging, "inside"))
        for folder in ("host", "e2e"):
            shutil.copytree(os.path.join(ROOT, "tests", folder), os.path.join(staging, "tests", folder),
                            ignore=shutil.ignore_patterns("*.cpp", "*.h", "__pycache__"))
        # A test that fills the disk is for nobody's own machine, but needs what those beside it have.
        shutil.copy(os.path.join(HERE, "inside", "test_full_store.py"), os.path.join(staging, "tests", "e2e"))
        os.makedirs(os.path.join(staging, "state"))
        for folder in ("kernels", "images"):  # links: on the same file system nothing is copied
            run("cp", "-al", os.path.join(self.state, folder), os.path.join(staging, "state"))
        disk = self.path("tested.ext4")
        with open(disk, "wb") as file:
            file.truncate(2 << 30)
        run("mke2fs", "-t", "ext4", "-F", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=0", "-d", staging, disk)
        run(os.path.join(self.build, "wrenn"), "initramfs", "--output", self.path("initramfs"), "--modules",
            os.path.join(self.cache, "modules"), "--init-binary", os.path.join(staging, "build/src/guest/guest-init"))
        shutil.rmtree(staging)

    def _host_programs(self):
        for folder, _, files in os.walk(os.path.join(self.build, "tests/host")):
            for name in files:
                path = os.path.join(folder, name)
                if os.access(path, os.X_OK) and not name.endswith((".so", ".a")):
                    yield os.path.relpath(path, self.build)

    def new_data_disk(self, name):
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(DATA_BYTES)
        blocks = (DATA_BYTES - MARKS_BYTES) // 4096
        run("mke2fs", "-t", "ext4", "-F", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=64", path,
            str(blocks))
        return path

    def boot(self, task, data, seconds, log=None, more=""):
        """Runs inside/TASK to its end. With `log`, QEMU writes all that happens to the data disk there, in order; `more` goes to
        the kernel's command line."""
        console = self.path(f"console-{task}-{os.path.basename(data)}")
        command = ["nice", "-n", str(NICE), "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR,
                   "-smp", str(CPUS), "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}",
                   "-kernel", os.path.join(self.cache, "vmlinuz"), "-initrd", self.path("initramfs"),
                   "-append", f"console=ttyS0 quiet loglevel=3 panic=-1 rw init=/sbin/lab-init {KERNEL_SETTINGS} "
                   f"lab.task={task} lab.seconds={seconds} {more}",
                   "-drive", f"file={os.path.join(self.cache, 'root.ext4')},format=raw,if=none,id=root,snapshot=on",
                   "-device", "virtio-blk-pci,drive=root",
                   "-drive", f"file={self.path('tested.ext4')},format=raw,if=none,id=tested,readonly=on",
                   "-device", "virtio-blk-pci,drive=tested"]
        if log:
            command += ["-blockdev", f"driver=file,node-name=data-file,filename={data}", "-blockdev", f"driver=file,node-name=log-file,filename={log}",
                        "-blockdev", "driver=raw,node-name=data-raw,file=data-file", "-blockdev", "driver=raw,node-name=log-raw,file=log-file",
                        "-blockdev", "driver=blklogwrites,node-name=data,file=data-raw,log=log-raw"]
        else:
            command += ["-drive", f"file={data},format=raw,if=none,id=data,cache=unsafe"]
        command += ["-device", "virtio-blk-pci,drive=data"]
        started = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            output, _ = process.communicate(timeout=seconds)
            ended = None
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            ended = f"not done within {seconds} s"
        with open(console, errors="replace") as file:
            text = file.read().replace("\r", "")
        noise = "TCG doesn't support requested feature"
        complaints = "\n".join(line for line in output.splitlines() if noise not in line)
        return Outcome(text, ended or complaints, time.monotonic() - started)


class Outcome:
    def __init__(self, console, trouble, seconds):
        self.console, self.trouble, self.seconds = console, trouble, seconds
        found = re.findall(r"^lab: task \S+ ended with (\d+)", console, re.MULTILINE)
        self.status = int(found[-1]) if found else None

    def counts(self):
        """(passed, failed, skipped) of the last line of that form, by tests/run.sh's contract; None when there is none."""
        found = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", self.console, re.MULTILINE)
        return tuple(int(number) for number in found[-1]) if found else None

    def tail(self, lines=60):
        return "\n".join(self.console.splitlines()[-lines:]) + ("\n" + self.trouble if self.trouble else "")
