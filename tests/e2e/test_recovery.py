"""wrenn dies at the worst moments; what comes back after its next start, and what must not stay behind."""

import os
import signal
import threading
import time

import pytest

from census import census, census_soon
from wrenn_platform import Capsule, DIR, Platform


@pytest.fixture
def directory(tmp_path):
    """A state directory of its own, with the kernels and images of the common one."""
    os.chmod(tmp_path, 0o755)
    state = tmp_path / "state"
    state.mkdir()
    for name in ("kernels", "images"):
        os.symlink(os.path.join(DIR, name), state / name)
    return str(state)


@pytest.fixture
def start(directory):
    """Starts wrenn on the directory, as often as a test likes, one at a time; what still runs at the end is stopped."""
    started = []

    def start_one(*extra):
        platform = Platform(directory, extra=extra)
        started.append(platform)
        return platform.start()

    yield start_one
    for platform in started:
        if platform.process and platform.process.poll() is None:
            platform.stop()
    for line in machines(directory):  # of a test that failed
        os.kill(int(line.split(" ")[0]), signal.SIGKILL)


def machines(directory):
    return census(directory).get("processes", [])


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def test_a_killed_wrenn_finds_its_capsules_again(directory, start):
    before = census(directory)
    platform = start()
    running, paused = platform.create(memory_mb=256), platform.create(memory_mb=256)
    running.shell("(i=0; while :; do i=$((i+1)); echo $i > /root/count; sleep 0.1; done) >/dev/null 2>&1 &")
    boot = running.shell("cat /proc/sys/kernel/random/boot_id")["stdout"]
    paused.shell("echo kept > /root/file")
    assert paused.call("POST", "/pause").status == 200
    vmm = machines(directory)
    platform.kill()
    assert machines(directory) == vmm, "the end of wrenn ended a machine"

    again = start()
    running, paused = Capsule(again, running.id), Capsule(again, paused.id)
    assert running.status() == "running" and paused.status() == "paused"
    assert running.shell("cat /proc/sys/kernel/random/boot_id")["stdout"] == boot
    count = int(running.shell("cat /root/count")["stdout"])
    wait_for(lambda: int(running.shell("cat /root/count")["stdout"]) > count, 10, "the counter goes on")
    assert paused.call("POST", "/resume").status == 200
    assert paused.shell("cat /root/file")["stdout"] == "kept\n"
    assert running.call("POST", "/pause").status == 200
    assert running.call("POST", "/resume").status == 200
    running.destroy()
    paused.destroy()
    assert census_soon(directory, before) == {}


def test_a_create_cut_short_leaves_nothing(directory, start):
    before = census(directory)
    platform = start()

    def create():
        try:
            platform.request("POST", "/v1/capsules", {"memory_mb": 256}, headers={"Prefer": "wait=60"})
        except OSError:
            pass  # that is what the kill does to it

    asking = threading.Thread(target=create)
    asking.start()
    wait_for(lambda: machines(directory), 30, "a machine starts")
    platform.kill()
    asking.join()
    start()
    wait_for(lambda: census(directory, without=before) == {}, 10, "the half-made capsule is removed")


def test_a_machine_that_died_meanwhile_is_told(directory, start):
    before = census(directory)
    platform = start()
    capsule = platform.create(memory_mb=256)
    platform.kill()
    for line in machines(directory):
        os.kill(int(line.split(" ")[0]), signal.SIGKILL)
    capsule = Capsule(start(), capsule.id)
    wait_for(lambda: capsule.status() in ("error", "stopped"), 30, "the capsule is reported as ended")
    capsule.destroy()
    wait_for(lambda: census(directory, without=before) == {}, 10, "nothing is left")


def test_the_end_of_wrenn_pauses_and_keep_keeps(directory, start):
    before = census(directory)
    platform = start()
    capsule = platform.create(memory_mb=256)
    capsule.shell("echo kept > /tmp/file")
    platform.stop()
    assert machines(directory) == []

    keeping = start("--on-exit", "keep")
    capsule = Capsule(keeping, capsule.id)
    assert capsule.status() == "paused"  # the first answer is right already
    assert capsule.call("POST", "/resume").status == 200
    assert capsule.shell("cat /tmp/file")["stdout"] == "kept\n"
    keeping.stop()
    assert len(machines(directory)) == 1

    capsule = Capsule(start(), capsule.id)
    assert capsule.shell("cat /tmp/file")["stdout"] == "kept\n"
    capsule.destroy()
    assert census_soon(directory, before) == {}
