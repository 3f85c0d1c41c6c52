"""The host's disk fills up under a running capsule whose disk is a device-mapper snapshot. A write to such a disk for which there is
no room would end it for good (the kernel marks it Invalid), so the machine must be stopped first and run on later."""

import os
import subprocess
import threading
import time

import pytest

from branches import pause, resume
from conftest import check_mechanisms
from test_short import check, put
from wrenn_platform import DIR, SLOWNESS

MIB = 1 << 20
LEFT = 72 * MIB  # of which the agent leaves 64 to others (disk/dm_snapshot.h); it has taken 128 for the capsule before
WRITTEN_MIB = 130
ALL = f"for i in $(seq {WRITTEN_MIB}); do cat /root/one; done"
SHOWN_SECONDS = 20  # times WRENN_TEST_SLOWNESS: the control plane asks its hosts every 15 s
STILL_SECONDS = 8


@pytest.fixture
def filler():
    """Makes the host's disk full, to be undone by clear()."""
    path = os.path.join(DIR, "filler")

    class Filler:
        def fill(self):
            room = os.statvfs(DIR)
            with open(path, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - LEFT)

        def clear(self):
            if os.path.exists(path):
                os.unlink(path)

    made = Filler()
    yield made
    made.clear()


def store_used(capsule):
    """Sectors that the capsule's disk takes of its CoW file; the kernel says Invalid or Overflow instead when it is lost."""
    told = subprocess.run(["dmsetup", "status", f"wrenn-{capsule.id}"], capture_output=True, text=True, check=True).stdout
    used, slash, _ = told.split()[3].partition("/")
    assert slash, f"the disk is lost: {told}"
    return int(used)


def say(text):
    with open("/dev/console", "w") as console:
        console.write(f"full store, at {time.monotonic():.0f} s: {text}\n")


def soon(condition, seconds, capsule, what):
    """wait_for() of branches.py for what takes many seconds: asks seldom, and tells how far the writing came."""
    begun = time.monotonic()
    while not condition():
        passed = time.monotonic() - begun
        assert passed < seconds * SLOWNESS, f"not within {passed:.0f} s: {what}; {store_used(capsule) * 512 // MIB} MiB are written"
        time.sleep(1)
    say(f"{what}; {store_used(capsule) * 512 // MIB} MiB are written")


def reason(capsule):
    return capsule.call("GET").json().get("metadata", {}).get("reason", "")


def stands_still(capsule):
    return reason(capsule).startswith("host_disk_full")


def test_full_store(platform, filler):
    with platform.create() as capsule:
        check_mechanisms(capsule)
        put(capsule, 1)
        filler.fill()
        begun = store_used(capsule)
        say("the host's disk is full")
        capsule.shell("head -c 1M /dev/urandom > /root/one")
        script = f"({ALL}) > /root/much && sync && echo whole > /root/told"
        assert capsule.call("POST", "/exec", {"cmd": "/bin/sh", "args": ["-c", script], "background": True}).status == 202
        soon(lambda: stands_still(capsule), SHOWN_SECONDS, capsule, "it is told that the capsule stands still")
        assert capsule.status() == "running"
        used = store_used(capsule)
        assert begun < used < begun + WRITTEN_MIB * MIB // 512, "it has written all"

        # It really does: nothing is written any more, and who asks it waits or is told that it does not answer.
        answers = []
        asking = threading.Thread(target=lambda: answers.append(capsule.call("POST", "/exec", {"cmd": "true"})))
        asking.start()
        time.sleep(STILL_SECONDS)
        assert store_used(capsule) == used
        assert all(answer.status != 200 and "was killed" not in answer.error()[2] for answer in answers), answers

        # What needs room is refused, and costs the capsule nothing.
        refusal = platform.request("POST", "/v1/capsules", {"memory_mb": 256}, headers={"Prefer": "wait=60"})
        assert refusal.status != 201 or refusal.json()["status"] != "running", refusal
        assert stands_still(capsule) and store_used(capsule) == used

        filler.clear()
        soon(lambda: reason(capsule) == "", SHOWN_SECONDS, capsule, "it is told that the capsule runs on")
        asking.join(60)
        assert len(answers) == 1, "who asked was never answered"
        soon(lambda: capsule.shell("cat /root/told")["stdout"] == "whole\n", 30, capsule, "all is written")
        assert store_used(capsule) >= begun + WRITTEN_MIB * MIB // 512
        pause(capsule)
        resume(capsule)
        say("paused and resumed")
        check(capsule, 1)  # drops the guest's caches
        whole = capsule.shell(f"({ALL}) | cmp - /root/much && echo same", timeout_sec=240)
        assert whole["stdout"] == "same\n", whole
        say("all is there")
