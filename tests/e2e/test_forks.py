"""Children go on from one moment of their parent; from then on nobody sees what another does."""

import json
import os

from branches import WAIT, content, fill, fork, goes_on, machine_pid, pause, resume, start_counter, told, wait_for
from wrenn_platform import Capsule


def destroy(*capsules):
    for capsule in capsules:
        capsule.destroy()


def test_children_go_on_by_themselves(capsule):
    start_counter(capsule)
    filled = fill(capsule)
    seen = told(capsule)
    children = fork(capsule, 3)
    family = [capsule, *children]
    for one in family:
        goes_on(one, seen)
        assert content(one) == filled
    for number, one in enumerate(family):
        one.shell(f"echo {number} > /root/mine; echo {number} > /dev/shm/mine; echo {number} > /root/mine-{number};"
                  f" head -c 200000 /dev/urandom >> /root/disk; echo {number} >> /dev/shm/memory; sync; echo 1 > /proc/sys/vm/drop_caches")
    contents = set()
    for number, one in enumerate(family):
        assert one.shell("cat /root/mine /dev/shm/mine; cd /root; ls mine-*")["stdout"] == f"{number}\n{number}\nmine-{number}\n"
        contents.add(content(one))
    assert len(contents) == 4 and filled not in contents
    destroy(*children)
    goes_on(capsule, seen)
    assert capsule.status() == "running"


def test_everyone_of_a_family_pauses_and_resumes(capsule):
    start_counter(capsule)
    filled = fill(capsule)
    (child,) = fork(capsule)
    seen = told(child)
    for one in (child, capsule, child):
        pause(one)
        resume(one)
        goes_on(one, seen)
        assert content(one) == filled
    # Together, and in the other order.
    pause(capsule)
    pause(child)
    resume(child)
    resume(capsule)
    for one in (capsule, child):
        goes_on(one, seen)
        assert content(one) == filled
    destroy(child)


def test_fork_of_a_fork(capsule):
    start_counter(capsule)
    filled = fill(capsule)
    seen = told(capsule)
    generations = [capsule]
    for number in range(3):
        (child,) = fork(generations[-1])
        seen = goes_on(child, seen)
        assert content(child) == filled
        assert child.shell("cat /root/line 2>/dev/null")["stdout"].split() == [str(n) for n in range(number)]
        child.shell(f"echo {number} >> /root/line; echo {number} >> /dev/shm/line")
        generations.append(child)
    last = generations[-1]
    destroy(*generations[1:-1])
    pause(last)
    resume(last)
    assert last.shell("cat /root/line /dev/shm/line")["stdout"].split() == ["0", "1", "2"] * 2
    assert capsule.shell("cat /root/line 2>/dev/null")["exit_code"] != 0
    destroy(last)


def test_fork_of_a_paused_capsule(capsule):
    start_counter(capsule)
    filled = fill(capsule)
    seen = told(capsule)
    pause(capsule)
    children = fork(capsule, 2)
    assert capsule.status() == "paused"
    for child in children:
        goes_on(child, seen)
        assert content(child) == filled
        child.shell("echo child > /root/disk; echo child > /dev/shm/memory; sync")
    destroy(children[0])
    resume(capsule)
    goes_on(capsule, seen)
    assert content(capsule) == filled
    pause(children[1])
    resume(children[1])
    assert children[1].shell("cat /root/disk /dev/shm/memory")["stdout"] == "child\nchild\n"
    destroy(children[1])


def test_children_outlive_their_parent(platform):
    with platform.create(memory_mb=256) as parent:
        start_counter(parent)
        filled = fill(parent)
        children = fork(parent, 2)
        seen = told(children[0])
    for child in children:
        child.shell("echo 1 > /proc/sys/vm/drop_caches")
        assert content(child) == filled
        pause(child)
    for child in children:
        resume(child)
        goes_on(child, (0, seen[1]))
        assert content(child) == filled
    (grandchild,) = fork(children[0])
    assert content(grandchild) == filled
    destroy(grandchild, *children)


def test_fork_by_the_command_line(platform, capsule):
    capsule.shell("echo parent > /dev/shm/whose; echo parent > /root/whose")
    done = platform.cli("capsule", "fork", capsule.id, "-n", "5")
    identities = done.stdout.split()
    assert done.returncode == 0 and len(set(identities)) == 5, done
    for identity in identities:
        child = platform.cli("capsule", "exec", identity, "--", "sh", "-c", "cat /dev/shm/whose /root/whose; hostname")
        assert child.stdout == f"parent\nparent\n{identity}\n"
    listed = json.loads(platform.cli("--json", "capsule", "ls").stdout)
    assert {one["id"] for one in listed} == {capsule.id, *identities}
    for identity in identities:
        assert platform.cli("capsule", "rm", identity).returncode == 0


def test_a_fork_while_files_are_written_leaves_file_systems_whole(capsule):
    capsule.call("POST", "/exec", {"cmd": "sh", "background": True, "args": [
        "-c", "i=0; while :; do i=$((i+1)); head -c 100000 /dev/urandom > /root/f$((i % 20)); [ $((i % 10)) = 0 ] && sync; done"]})
    families = [fork(capsule)[0] for _ in range(3)]
    for child in families:
        child.shell("pkill -f 'i=0; while' ; sync; echo 3 > /proc/sys/vm/drop_caches")
        read = child.shell("cat /root/f* | wc -c; mount -o remount,ro / 2>&1; echo; grep -c . /proc/mounts")
        assert int(read["stdout"].split()[0]) > 0
        checked = child.shell("e2fsck -fn /dev/vda >/tmp/fsck 2>&1; echo $?; tail -5 /tmp/fsck")
        if "not found" not in checked["stdout"]:
            assert checked["stdout"].split()[0] in ("0", "4") and "EXT4-fs error" not in child.shell("dmesg")["stdout"], checked
    destroy(*families)


def test_forks_one_after_another(capsule):
    """Each fork makes the parent's disk one layer deeper."""
    filled = fill(capsule)
    for number in range(12):
        (child,) = fork(capsule)
        capsule.shell(f"echo {number} >> /root/line")
        destroy(child)
    pause(capsule)
    resume(capsule)
    assert content(capsule) == filled
    assert capsule.shell("cat /root/line")["stdout"].split() == [str(n) for n in range(12)]


def test_a_fork_of_what_has_no_moment_is_refused(platform):
    with platform.create(memory_mb=256) as capsule:
        for body, part in (({"count": 0}, "count"), ({"count": 101}, "count"), ({"count": "x"}, "count"), ({"timeout_sec": -1}, "timeout_sec")):
            status, code, message = capsule.call("POST", "/fork", body).error()
            assert (status, code) == (400, "invalid_request") and part in message
        os.kill(machine_pid(capsule), 9)
        wait_for(lambda: capsule.status() == "error", 20, "the end of the machine is noticed")
        assert capsule.call("POST", "/fork", {}, headers=WAIT).error()[0] == 409
    assert Capsule(platform, capsule.id).call("POST", "/fork", {}).error()[0] in (404, 409)
    assert len(platform.request("GET", "/v1/capsules").json()) == 0
