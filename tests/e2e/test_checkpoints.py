"""A capsule goes back to what it was."""

import os

from branches import checkpoint, content, fill, fork, goes_on, machine_pid, pause, resume, rollback, start_counter, told, wait_for


def spoil(capsule):
    capsule.shell("head -c 1000000 /dev/zero > /root/disk; rm /dev/shm/memory; touch /root/later /dev/shm/later; rm -rf /usr/share/doc; sync;"
                  " echo 3 > /proc/sys/vm/drop_caches; pkill python3")


def as_before(capsule, filled, seen):
    goes_on(capsule, seen)
    assert content(capsule) == filled
    assert capsule.shell("ls /root/later /dev/shm/later 2>/dev/null")["stdout"] == ""


def test_back_twice(capsule):
    start_counter(capsule)
    filled, seen = fill(capsule), told(capsule)
    checkpoint(capsule, "before")
    goes_on(capsule, seen)
    for _ in range(2):
        spoil(capsule)
        rollback(capsule, "before")
        as_before(capsule, filled, seen)
    pause(capsule)
    resume(capsule)
    as_before(capsule, filled, seen)


def test_back_and_forth_between_two(capsule):
    start_counter(capsule)
    first, seen = fill(capsule), told(capsule)
    one = checkpoint(capsule, "one")
    second = fill(capsule)
    two = checkpoint(capsule, "two")
    spoil(capsule)
    for which, filled in ((one, first), (two, second), (one, first)):
        rollback(capsule, which)
        as_before(capsule, filled, seen)
    listed = capsule.call("GET", "/checkpoints").json()["checkpoints"]
    assert [(entry["name"], entry["id"]) for entry in listed] == [("one", one), ("two", two)]
    assert capsule.call("DELETE", "/checkpoints/one").status == 204
    assert capsule.call("POST", "/rollback", {"checkpoint": "one"}).error()[:2] == (404, "not_found")
    rollback(capsule, "two")
    as_before(capsule, second, seen)


def test_back_of_a_paused_capsule(capsule):
    start_counter(capsule)
    filled, seen = fill(capsule), told(capsule)
    checkpoint(capsule, "before")
    spoil(capsule)
    pause(capsule)
    rollback(capsule, "before")
    as_before(capsule, filled, seen)


def test_a_checkpoint_of_a_paused_capsule(capsule):
    start_counter(capsule)
    filled, seen = fill(capsule), told(capsule)
    pause(capsule)
    checkpoint(capsule, "asleep")
    assert capsule.status() == "paused"
    resume(capsule)
    as_before(capsule, filled, seen)
    spoil(capsule)
    rollback(capsule, "asleep")
    as_before(capsule, filled, seen)


def test_back_of_a_failed_capsule(capsule):
    start_counter(capsule)
    filled, seen = fill(capsule), told(capsule)
    checkpoint(capsule, "before")
    spoil(capsule)
    os.kill(machine_pid(capsule), 9)
    wait_for(lambda: capsule.status() == "error", 20, "the end of the machine is noticed")
    rollback(capsule, "before")
    as_before(capsule, filled, seen)
    pause(capsule)
    resume(capsule)
    as_before(capsule, filled, seen)


def test_children_and_checkpoints_mix(capsule):
    start_counter(capsule)
    filled, seen = fill(capsule), told(capsule)
    checkpoint(capsule, "before")
    (child,) = fork(capsule)
    spoil(capsule)
    assert child.call("GET", "/checkpoints").json()["checkpoints"] == []
    assert child.call("POST", "/rollback", {"checkpoint": "before"}).error()[0] == 404
    rollback(capsule, "before")
    (other,) = fork(capsule)
    as_before(other, filled, seen)
    as_before(child, filled, seen)
    checkpoint(child, "own")
    spoil(child)
    rollback(child, "own")
    as_before(child, filled, seen)
    as_before(capsule, filled, seen)
    child.destroy()
    other.destroy()


def test_refusals(capsule):
    assert capsule.call("POST", "/rollback", {"checkpoint": "none"}).error()[:2] == (404, "not_found")
    assert capsule.call("POST", "/rollback", {}).error()[:2] == (400, "invalid_request")
    checkpoint(capsule, "once")
    assert capsule.call("POST", "/checkpoints", {"name": "once"}).error()[:2] == (409, "conflict")
    assert capsule.shell("echo alive")["stdout"] == "alive\n"


def test_by_the_command_line(platform, capsule):
    capsule.shell("echo old > /root/file; echo old > /dev/shm/file")
    made = platform.cli("capsule", "checkpoint", capsule.id, "--name", "before")
    assert made.returncode == 0 and made.stdout.startswith("cp-"), made
    assert "before" in platform.cli("capsule", "checkpoints", capsule.id).stdout
    capsule.shell("echo new > /root/file; echo new > /dev/shm/file")
    done = platform.cli("capsule", "rollback", capsule.id, "before")
    assert done.returncode == 0, done
    assert capsule.shell("cat /root/file /dev/shm/file")["stdout"] == "old\nold\n"
