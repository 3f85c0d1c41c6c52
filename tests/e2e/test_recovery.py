"""wrenn dies at the worst moments; what comes back after its next start, and what must not stay behind."""

import os
import threading

from branches import checkpoint, fork, goes_on, pause, resume, rollback, snapshot, start_counter, told, wait_for
from census import census, census_soon, kill_machines, machines
from wrenn_platform import Capsule


def test_a_killed_wrenn_finds_its_capsules_again(directory, start):
    before = census(directory)
    platform = start()
    running, paused = platform.create(memory_mb=256), platform.create(memory_mb=256)
    running.shell("(i=0; while :; do i=$((i+1)); echo $i > /root/new; mv /root/new /root/count; sleep 0.1; done) >/dev/null 2>&1 &")
    boot = running.shell("cat /proc/sys/kernel/random/boot_id")["stdout"]
    paused.shell("echo kept > /root/file")
    wait_for(lambda: running.shell("cat /root/count")["exit_code"] == 0, 10, "the counter counts")
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
            platform.request("POST", "/v1/capsules", {"memory_mb": 256, "boot": "cold"}, headers={"Prefer": "wait=60"})
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
    kill_machines(directory)
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


def test_a_capsule_that_was_found_again_forks_and_pauses(directory, start):
    """Its machine was started by an agent that is gone: what that one held open must not be needed."""
    before = census(directory)
    platform = start()
    capsule = platform.create(memory_mb=256)
    start_counter(capsule)
    capsule.shell("head -c 4000000 /dev/urandom > /root/disk; head -c 4000000 /dev/urandom > /dev/shm/memory")
    content = capsule.shell("cat /root/disk /dev/shm/memory | sha256sum")["stdout"]
    seen = told(capsule)
    checkpoint(capsule, "before")
    (child,) = fork(capsule)
    platform.kill()

    again = start()
    family = [Capsule(again, one.id) for one in (capsule, child)]
    children = []
    for one in family:
        goes_on(one, seen)
        children += fork(one)
        checkpoint(one, "after")
    snapshot(family[1], "of-the-child")
    made = again.create(template="of-the-child")
    for one in (*family, *children, made):
        goes_on(one, seen)
        assert one.shell("cat /root/disk /dev/shm/memory | sha256sum")["stdout"] == content
    for one in family:
        one.shell("rm /root/disk /dev/shm/memory; pkill python3")
        pause(one)
        resume(one)
        rollback(one, "after")
        goes_on(one, seen)
    rollback(family[0], "before")
    again.kill()

    # Everything once more, for those that were adopted, forked and rolled back.
    last = start()
    for identity in (one.id for one in (*family, *children, made)):
        one = Capsule(last, identity)
        goes_on(one, seen)
        assert one.shell("cat /root/disk /dev/shm/memory | sha256sum")["stdout"] == content
        pause(one)
        resume(one)
        goes_on(one, seen)
        one.destroy()
    assert last.request("DELETE", "/v1/snapshots/of-the-child").status == 204
    assert census_soon(directory, before) == {}


def test_golden_snapshots_outlive_the_agent(directory, start):
    platform = start()
    platform.create(memory_mb=256).destroy()
    golden = os.listdir(f"{directory}/golden")
    layers = sorted(os.listdir(f"{directory}/layers"))
    platform.stop()
    again = start()
    capsule = again.create(memory_mb=256)
    assert capsule.shell("echo alive")["stdout"] == "alive\n"
    assert os.listdir(f"{directory}/golden") == golden and sorted(os.listdir(f"{directory}/layers")) == layers
    assert "made a golden snapshot" not in again.log_text(last=10**9)
    capsule.destroy()
