"""Templates made of capsules."""

import pytest

from branches import content, delete_snapshot, fill, fork, goes_on, pause, resume, snapshot, start_counter, told
from wrenn_platform import Capsule


@pytest.fixture
def name(platform):
    yield "warmed-up"
    delete_snapshot(platform, "warmed-up")


def test_create_from_a_snapshot(platform, name):
    with platform.create(memory_mb=320) as capsule:
        start_counter(capsule)
        filled, seen = fill(capsule), told(capsule)
        made = snapshot(capsule, name)
        assert made["type"] == "snapshot" and made["memory_mb"] == 320 and made["size_bytes"] > 0
        goes_on(capsule, seen)
        assert name in [one["name"] for one in platform.request("GET", "/v1/snapshots?type=snapshot").json()]
    # Its capsule is gone; the template stands by itself.
    made = [platform.create(template=name) for _ in range(3)]
    for number, one in enumerate(made):
        assert one.call("GET").json()["memory_mb"] == 320
        goes_on(one, seen)
        assert content(one) == filled
        assert one.shell("hostname")["stdout"].strip() == one.id
        one.shell(f"echo {number} > /root/mine; echo {number} > /dev/shm/mine")
    for number, one in enumerate(made):
        assert one.shell("cat /root/mine /dev/shm/mine")["stdout"] == f"{number}\n{number}\n"
        pause(one)
        resume(one)
        goes_on(one, seen)
        one.destroy()


def test_of_a_paused_capsule(platform, capsule, name):
    start_counter(capsule)
    filled, seen = fill(capsule), told(capsule)
    pause(capsule)
    snapshot(capsule, name)
    assert capsule.status() == "paused"
    with platform.create(template=name) as one:
        goes_on(one, seen)
        assert content(one) == filled
        one.shell("echo other > /root/disk; sync")
    resume(capsule)
    goes_on(capsule, seen)
    assert content(capsule) == filled


def test_overwrite_while_it_is_used(platform, capsule, name):
    old = fill(capsule)
    snapshot(capsule, name)
    with platform.create(template=name) as of_old, platform.create(template=name) as paused:
        pause(paused)
        new = fill(capsule)
        answer = platform.request("POST", "/v1/snapshots", {"sandbox_id": capsule.id, "name": name})
        assert answer.error()[:2] == (409, "template_name_taken")
        snapshot(capsule, name, overwrite=True)
        with platform.create(template=name) as of_new:
            assert content(of_new) == new
        resume(paused)
        for one in (of_old, paused):
            one.shell("echo 3 > /proc/sys/vm/drop_caches")
            assert content(one) == old
            pause(one)
            resume(one)
            assert content(one) == old
        (child,) = fork(of_old)
        assert content(child) == old
        child.destroy()


def test_delete_while_it_is_used(platform, capsule, name):
    filled = fill(capsule)
    snapshot(capsule, name)
    with platform.create(template=name) as running, platform.create(template=name) as paused:
        pause(paused)
        assert delete_snapshot(platform, name).status == 204
        assert platform.request("POST", "/v1/capsules", {"template": name}).error()[:2] == (404, "not_found")
        assert delete_snapshot(platform, name).error()[:2] == (404, "not_found")
        resume(paused)
        for one in (running, paused):
            one.shell("echo 3 > /proc/sys/vm/drop_caches")
            assert content(one) == filled
            pause(one)
            resume(one)
            assert content(one) == filled


def test_a_snapshot_of_a_capsule_of_a_snapshot(platform, capsule, name):
    capsule.shell("echo first > /root/line; echo first > /dev/shm/line")
    snapshot(capsule, name)
    with platform.create(template=name) as one:
        one.shell("echo second >> /root/line; echo second >> /dev/shm/line")
        snapshot(one, "warmed-twice")
    try:
        assert delete_snapshot(platform, name).status == 204
        with platform.create(template="warmed-twice") as other:
            assert other.shell("cat /root/line /dev/shm/line")["stdout"].split() == ["first", "second"] * 2
    finally:
        assert delete_snapshot(platform, "warmed-twice").status == 204


def test_by_the_command_line(platform, capsule, name):
    capsule.shell("echo warm > /dev/shm/state")
    done = platform.cli("snapshot", "create", capsule.id, "--name", name)
    assert done.returncode == 0, done
    identity = platform.cli("capsule", "create", "--template", name).stdout.strip()
    assert platform.cli("capsule", "exec", identity, "--", "cat", "/dev/shm/state").stdout == "warm\n"
    assert platform.cli("capsule", "rm", identity).returncode == 0
    assert delete_snapshot(platform, "minimal-debian").error()[0] in (403, 404)
    assert Capsule(platform, capsule.id).status() == "running"
