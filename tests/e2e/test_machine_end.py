"""A machine monitor that dies, one that hangs, a guest that panics: noticed by the agent within two seconds, with the reason,
and nothing left but the disk. A machine that is only slow is left alone."""

import os
import signal
import time

from branches import machine_pid, record, wait_for
from census import machines
from wrenn_platform import DIR

NOTICED = 2.0 * float(os.environ.get("WRENN_TEST_SLOWNESS", "1"))


def reason(capsule):
    return capsule.call("GET").json()["metadata"]["reason"]


def noticed(capsule, since):
    """By the agent; the control plane asks it now and then. Times in which this machine itself stood still do not count: the
    agent does not count them either (agent/vmm/limits.h)."""
    late, last = 0.0, time.monotonic()
    while record(capsule)["state"] != "error":
        assert time.monotonic() - since < 20, "nobody notices"
        time.sleep(0.01)
        now = time.monotonic()
        late, last = late + max(0.0, now - last - 0.05), now
    took = time.monotonic() - since - late
    print(f"noticed after {took:.2f} s: {record(capsule)['reason'][:200]}")
    assert took <= NOTICED, took
    assert not any(capsule.id in line for line in machines(DIR))
    wait_for(lambda: capsule.status() == "error", 20, "the control plane follows")
    assert capsule.call("POST", "/exec", {"cmd": "true"}).error()[0] == 409


def test_a_monitor_that_hangs(capsule):
    assert capsule.shell("echo alive")["stdout"] == "alive\n"
    pid = machine_pid(capsule)
    since = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    noticed(capsule, since)
    assert "did not answer" in reason(capsule)


def test_a_monitor_that_dies(capsule):
    since = time.monotonic()
    os.kill(machine_pid(capsule), signal.SIGKILL)
    noticed(capsule, since)
    assert "ended unexpectedly" in reason(capsule)


def test_a_guest_that_panics(capsule):
    answers = []
    since = time.monotonic()
    try:
        answers.append(capsule.call("POST", "/exec", {"cmd": "sh", "args": ["-c", "sleep 0.2; echo c > /proc/sysrq-trigger"], "background": True}))
    except OSError:
        pass
    noticed(capsule, (time.monotonic() if answers else since) + 0.2)  # its shell sleeps; it may end before the answer
    assert "restarted itself" in reason(capsule), answers


def test_a_busy_machine_is_no_hang(platform):
    """Three times as many busy guests as this host has CPUs."""
    capsules = [platform.create(memory_mb=256) for _ in range(min(3 * os.cpu_count(), 8))]
    try:
        for one in capsules:
            one.shell("for i in 1 2 3 4; do (while :; do :; done) >/dev/null 2>&1 & done; dd if=/dev/zero of=/root/zeros bs=1M count=64 conv=fsync 2>/dev/null >/dev/null &")
        time.sleep(8)
        assert [one.status() for one in capsules] == ["running"] * len(capsules)
    finally:
        for one in capsules:
            one.destroy()


def test_a_guest_without_its_envd(capsule):
    """Who is root in a capsule can end the program that its host talks to. Nobody could use the capsule any more: it ends as
    after a panic, and says why."""
    kill = "sleep 0.3; kill -KILL $(cat /sys/fs/cgroup/envd/cgroup.procs)"
    assert capsule.call("POST", "/exec", {"cmd": "sh", "args": ["-c", kill], "background": True}).status == 202
    noticed(capsule, time.monotonic() + 0.3)
    assert "restarted itself" in reason(capsule) and "Attempted to kill init" in reason(capsule)
