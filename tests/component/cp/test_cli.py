"""The command line against a real control plane: what it prints, and its exit codes."""
import json
import os
import re
import subprocess

from control_plane import WRENN


def wrenn(plane, *words):
    return subprocess.run([WRENN, "--url", f"http://127.0.0.1:{plane.port}", *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "WRENN_API_KEY": plane.key})


def ok(plane, *words):
    done = wrenn(plane, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_boot(plane):
    ok(plane, "capsule", "create", "--boot", "cold")
    assert plane.agent.called("CreateSandbox")[0]["boot"] == "cold"
    assert wrenn(plane, "capsule", "create", "--boot", "warm").returncode == 2
    assert wrenn(plane, "run", "--boot", "warm", "--", "x").returncode == 2


def test_fork(plane):
    parent = ok(plane, "capsule", "create", "--timeout", "60").strip()
    ids = ok(plane, "capsule", "fork", parent, "-n", "3").split()
    assert len(ids) == 3 and all(plane.row(one)["status"] == "running" for one in ids)
    told = json.loads(ok(plane, "--json", "capsule", "fork", parent, "--timeout", "5"))
    assert [one["timeout_sec"] for one in told["capsules"]] == [5]
    assert wrenn(plane, "capsule", "fork", parent, "-n", "101").returncode == 2
    ok(plane, "capsule", "rm", parent)
    done = wrenn(plane, "capsule", "fork", parent)
    assert done.returncode == 125
    assert "not running or paused" in done.stderr


def test_fork_answered_early(impatient):
    plane = impatient
    parent = ok(plane, "capsule", "create").strip()
    fork = plane.agent.fork

    def slowly(agent, request):
        import time
        time.sleep(0.6)
        return fork(request)
    plane.agent.on["ForkSandbox"] = slowly
    [child] = ok(plane, "capsule", "fork", parent).split()
    assert plane.row(child)["status"] == "running"


def test_checkpoints(plane):
    capsule = ok(plane, "capsule", "create").strip()
    first = ok(plane, "capsule", "checkpoint", capsule, "--name", "before").strip()
    second = ok(plane, "capsule", "checkpoint", capsule).strip()
    assert re.fullmatch("cp-[0-9a-z]{25}", first) and first != second
    head, one, two = ok(plane, "capsule", "checkpoints", capsule).splitlines()
    assert head.split() == ["ID", "NAME", "SIZE", "CREATED"]
    assert one.split()[:2] == [first, "before"] and "4.0 KiB" in one and two.startswith(second)
    assert [one["id"] for one in json.loads(ok(plane, "--json", "capsule", "checkpoints", capsule))["checkpoints"]] == [first, second]
    assert ok(plane, "capsule", "rollback", capsule, "before").strip() == capsule
    assert plane.agent.called("RollbackSandbox")[0]["checkpointId"] == first
    done = wrenn(plane, "capsule", "rollback", capsule, "never")
    assert done.returncode == 125 and "checkpoint not found: never" in done.stderr


def test_snapshots(plane):
    capsule = ok(plane, "capsule", "create", "--memory", "256").strip()
    assert ok(plane, "snapshot", "create", capsule, "--name", "mine").strip() == "mine"
    done = wrenn(plane, "snapshot", "create", capsule, "--name", "mine")
    assert done.returncode == 125 and "mine already" in done.stderr
    assert ok(plane, "snapshot", "create", capsule, "--name", "mine", "--overwrite").strip() == "mine"
    head, row = ok(plane, "snapshot", "list").splitlines()
    assert head.split() == ["NAME", "TYPE", "VCPUS", "MEMORY", "SIZE", "CREATED"]
    assert row.split()[:5] == ["mine", "snapshot", "1", "256", "MiB"]
    assert len(ok(plane, "snapshot", "list", "--all").splitlines()) == 3
    child = ok(plane, "capsule", "create", "--template", "mine").strip()
    assert plane.row(child)["memory_mb"] == 256
    assert ok(plane, "snapshot", "delete", "mine").strip() == "mine"
    assert wrenn(plane, "snapshot", "delete", "mine").returncode == 125
    assert wrenn(plane, "snapshot", "delete", "../capsules").returncode == 125
