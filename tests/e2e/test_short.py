"""The life of a capsule with few calls: what tests/lab runs where each call takes seconds. Disk and memory at each turn."""

import os

import pytest

from branches import agent_metrics, checkpoint, delete_snapshot, fork, machine_pid, pause, resume, rollback, snapshot, wait_for
from conftest import check_mechanisms

BYTES = 1_000_000


def put(capsule, version):
    done = capsule.shell(f"for d in /root /dev/shm; do yes {version} | head -c {BYTES} > $d/content; done; echo done")
    assert done["stdout"] == "done\n", done


def check(capsule, version):
    """All of it is of this version, also on disk."""
    script = f"echo 1 > /proc/sys/vm/drop_caches; for d in /root /dev/shm; do yes {version} | head -c {BYTES} | cmp - $d/content && hostname; done"
    seen = capsule.shell(f"sync; {script}")
    assert seen["stdout"] == f"{capsule.id}\n" * 2, seen


def stages(name):
    return sum(value for series, value in agent_metrics().items() if "stage_duration_seconds_count" in series and f'stage="{name}"' in series)


def test_clone_and_pauses(platform):
    with platform.create(memory_mb=256):
        booted = stages("boot")
    with platform.create(memory_mb=256) as capsule:
        assert stages("boot") == booted, "the clone booted"
        check_mechanisms(capsule)
        for version in (1, 2):
            put(capsule, version)
            pause(capsule)
            assert capsule.call("POST", "/exec", {"cmd": "true"}).error()[:2] == (409, "invalid_state")
            resume(capsule)
            check(capsule, version)


def test_children(capsule):
    put(capsule, 1)
    first, second = fork(capsule, 2)
    check_mechanisms(first)
    put(first, 2)
    check(capsule, 1)
    check(second, 1)
    pause(second)
    (third,) = fork(second)
    check(third, 1)
    check(first, 2)
    for child in (first, second, third):
        child.destroy()
    check(capsule, 1)


def test_checkpoint(capsule):
    put(capsule, 1)
    checkpoint(capsule, "before")
    put(capsule, 2)
    pause(capsule)
    for _ in range(2):
        rollback(capsule, "before")
        check(capsule, 1)
        put(capsule, 3)


@pytest.fixture
def template(platform):
    yield "short"
    delete_snapshot(platform, "short")


def test_template(platform, capsule, template):
    put(capsule, 1)
    snapshot(capsule, template)
    put(capsule, 2)
    with platform.create(template=template) as made:
        check(made, 1)
        check_mechanisms(made)
    check(capsule, 2)


def test_death(capsule):
    put(capsule, 1)
    checkpoint(capsule, "before")
    os.kill(machine_pid(capsule), 9)
    # The agent knows at once; the control plane hears of it in its next round, which comes every 15 s.
    wait_for(lambda: capsule.status() == "error", 30, "the end of the machine is noticed")
    rollback(capsule, "before")
    check(capsule, 1)
