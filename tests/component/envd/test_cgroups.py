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


def test_when_no_more_groups_can_be_made(grouped, root):
    grouped.shell("true")
    with open(f"{root}/user/cgroup.max.descendants", "w") as most:
        most.write("0")
    assert re.search(r"0::.*/user\n", grouped.shell("cat /proc/self/cgroup")[0].decode())
    other = grouped.start("sleep", ["1000"], stdin=False)
    second = other.start()
    stream = grouped.start("/bin/sh", ["-c", "sleep 1000 & echo $!; wait"], stdin=False)
    pid = stream.start()
    child = int(base64.b64decode(next(stream)["data"]["stdout"]))
    grouped.signal(pid, "SIGNAL_SIGKILL")
    stream.collect()
    wait_until(lambda: not alive(child), what="the child is gone")
    assert alive(second)  # which is in the same group
    grouped.signal(second, "SIGNAL_SIGKILL")
    other.collect()


def test_envd_has_a_group_of_its_own(grouped, root):
    with open(f"{root}/envd/cgroup.procs") as procs:
        assert procs.read().split() == [str(grouped.pid)]
    assert "/envd" not in grouped.shell("cat /proc/self/cgroup")[0].decode().partition("0::")[2]


def test_weights_and_memory(tmp_path):
    """What is written, in a folder that looks like a hierarchy with every controller: this needs none."""
    files = ("cgroup.procs", "cpu.weight", "io.weight", "memory.max", "memory.high", "memory.min", "memory.low", "pids.max")
    for group in ("user", "pty", "envd"):
        (tmp_path / group).mkdir()
        for name in files:
            (tmp_path / group / name).write_text("")
    one = Envd(["--cgroup-root", str(tmp_path)])
    one.request("GET", "/health")
    one.stop()
    with open("/proc/meminfo") as meminfo:
        total = int(re.search(r"MemTotal:\s+(\d+)", meminfo.read()).group(1)) * 1024
    left = str(total - min(total // 8, 128 << 20))
    read = lambda group: {name: (tmp_path / group / name).read_text() for name in files}  # noqa: E731
    for group, cpu, io in (("user", "50", "default 10"), ("pty", "200", "default 50")):
        values = read(group)
        assert (values["cpu.weight"], values["io.weight"]) == (cpu, io)
        assert values["memory.max"] == values["memory.high"] == left and int(values["pids.max"]) > 0
    values = read("envd")
    assert values["cpu.weight"] == "1000" and values["cgroup.procs"] == str(one.pid)
    assert (values["memory.min"], values["memory.low"]) == (str(50 << 20), str(100 << 20))
