"""Control groups of user processes, in a hierarchy of the test's own."""

import base64
import os
import re
import time

import pytest

from envd import Envd, alive, wait_until


def hierarchy():
    with open("/proc/mounts") as mounts:
        for line in mounts:
            device, place, kind, *_ = line.split()
            if kind == "cgroup2":
                return place
    return None


@pytest.fixture
def root():
    place = hierarchy()
    if not place or os.geteuid() != 0:
        pytest.skip("needs root and a cgroup v2 hierarchy")
    path = f"{place}/wrenn-envd-test-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as error:
        pytest.skip(f"cannot make control groups: {error}")
    yield path
    for folder, _, _ in os.walk(path, topdown=False):
        os.rmdir(folder)


@pytest.fixture
def grouped(root):
    one = Envd(["--cgroup-root", root])
    yield one
    one.stop()


def groups(root, kind):
    return [name for name in os.listdir(f"{root}/{kind}") if name.startswith("p")]


def test_placement(grouped, root):
    assert re.search(r"0::.*/user/p\d+\n", grouped.shell("cat /proc/self/cgroup")[0].decode())
    stream = grouped.start("/bin/sh", ["-c", "cat /proc/self/cgroup"], pty=(80, 24))
    stream.start()
    assert re.search(r"0::.*/pty/p\d+\r\n", stream.collect()[2].decode())
    assert groups(root, "user") == [] and groups(root, "pty") == []


def test_kill_reaches_a_daemon(grouped, root):
    stream = grouped.start("/bin/sh", ["-c", "setsid sleep 1000 & echo $!; wait"], stdin=False)
    pid = stream.start()
    child = int(base64.b64decode(next(stream)["data"]["stdout"]))
    wait_until(lambda: os.getsid(child) == child, what="it has its own session")
    grouped.signal(pid, "SIGNAL_SIGKILL")
    stream.collect()
    wait_until(lambda: not alive(child), what="the daemon is gone")


def test_a_background_process_outlives_its_shell(grouped, root):
    out, _, _ = grouped.shell("setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!")
    child = int(out)
    time.sleep(0.2)
    assert alive(child) and len(groups(root, "user")) == 1
    os.kill(child, 9)
    wait_until(lambda: not alive(child), what="it is gone")
    grouped.shell("true")
    wait_until(lambda: groups(root, "user") == [], what="its group is removed with a later one")
