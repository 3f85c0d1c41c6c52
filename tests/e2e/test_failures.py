"""Damage and full disks: nothing wrong ever runs, nothing good is lost, and the message says what to do."""

import contextlib
import glob
import json
import os
import subprocess

import pytest

from branches import WAIT, checkpoint, flip_bit, fork, goes_on, pause, record, resume, rollback, snapshot, start_counter, told
from census import census, census_soon
from wrenn_platform import DIR, Platform


def refused(answer, *words):
    status, _, message = answer.error()
    assert status >= 400 and all(word in message for word in words), answer
    return message


@pytest.mark.parametrize("name", ["pages", "device-state", "manifest.json"])
def test_a_flipped_bit_in_a_snapshot(capsule, name):
    start_counter(capsule)
    seen = told(capsule)
    pause(capsule)
    path = f"{DIR}/snapshots/{capsule.id}/{name}"
    flip_bit(path)
    for _ in range(2):
        refused(capsule.call("POST", "/resume", headers=WAIT), "damaged", "destroy")
        assert capsule.status() == "paused"
    if name != "pages":
        refused(capsule.call("POST", "/fork", {}, headers=WAIT), "damaged")
    assert capsule.status() == "paused"
    flip_bit(path)  # back again: nothing else has changed
    resume(capsule)
    goes_on(capsule, seen)


def test_a_flipped_bit_in_a_checkpoint(capsule):
    start_counter(capsule)
    seen = told(capsule)
    which = checkpoint(capsule, "before")
    (path,) = glob.glob(f"{DIR}/checkpoints/{capsule.id}/*/device-state")
    assert which in path
    flip_bit(path)
    refused(capsule.call("POST", "/rollback", {"checkpoint": "before"}, headers=WAIT), "damaged")
    seen = goes_on(capsule, seen)
    assert capsule.status() == "running"
    flip_bit(path)
    (path,) = glob.glob(f"{DIR}/checkpoints/{capsule.id}/*/pages")
    flip_bit(path)
    # Found when the pages are read, when there is no way back to the machine that ran: it is paused, at the checkpoint.
    refused(capsule.call("POST", "/rollback", {"checkpoint": "before"}, headers=WAIT), "damaged")
    assert capsule.status() in ("paused", "running")
    flip_bit(path)
    rollback(capsule, "before")
    goes_on(capsule, (0, seen[1]))


def test_a_flipped_bit_in_memory_that_others_share(platform, capsule):
    """The base of a template's memory: found at the next load of it, and only what needs it is refused."""
    snapshot(capsule, "shared")
    (manifest,) = glob.glob(f"{DIR}/images/teams/*/*/snapshot/manifest.json")
    with open(manifest) as file:
        base = json.load(file)["memoryBase"]
    flip_bit(base)
    try:
        refused(platform.request("POST", "/v1/capsules", {"template": "shared"}, headers=WAIT), "damaged")
        assert capsule.shell("echo alive")["stdout"] == "alive\n"
        assert [one["id"] for one in platform.request("GET", "/v1/capsules").json() if one["status"] != "error"] == [capsule.id]
        flip_bit(base)
        with platform.create(template="shared") as one:
            assert one.shell("echo alive")["stdout"] == "alive\n"
    finally:
        assert platform.request("DELETE", "/v1/snapshots/shared").status == 204


def test_a_damaged_golden_snapshot_is_made_again(directory, start):
    platform = start()
    platform.create(memory_mb=256).destroy()
    platform.stop()
    (golden,) = glob.glob(f"{directory}/golden/*")
    (memory,) = glob.glob(f"{directory}/layers/memory-*")
    for path in (memory, f"{golden}/device-state", f"{golden}/manifest.json"):
        flip_bit(path)
        platform = start()
        for _ in range(2):
            with platform.create(memory_mb=256) as capsule:
                assert capsule.shell("echo alive")["stdout"] == "alive\n"
        assert "made a golden snapshot" in platform.log_text(last=10**9), path
        platform.stop()
    with open(f"{golden}/manifest.json") as file:
        manifest = json.load(file)
    assert sorted(glob.glob(f"{directory}/layers/*")) == sorted([manifest["memoryBase"], *manifest["disk"]["layers"]])


def test_a_snapshot_of_another_host_is_refused(directory, start):
    """Its seal is that of another key."""
    platform = start()
    capsule = platform.create(memory_mb=256)
    pause(capsule)
    platform.stop()
    os.rename(f"{directory}/snapshot.key", f"{directory}/old.key")
    platform = start()
    capsule.platform = platform
    refused(capsule.call("POST", "/resume", headers=WAIT), "destroy")
    assert capsule.status() == "paused"
    with platform.create(memory_mb=256) as other:
        assert other.shell("echo alive")["stdout"] == "alive\n"
    platform.stop()
    os.rename(f"{directory}/old.key", f"{directory}/snapshot.key")
    platform = start()
    capsule.platform = platform
    resume(capsule)
    capsule.destroy()


@contextlib.contextmanager
def small_disk(tmp_path, bytes_):
    """A state directory on a file system of its own."""
    image = tmp_path / "disk.img"
    with open(image, "wb") as file:
        file.truncate(bytes_)
    mount = tmp_path / "state"
    mount.mkdir()
    os.chmod(tmp_path, 0o755)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        os.chmod(mount, 0o755)
        for name in ("kernels", "images"):
            os.symlink(os.path.join(DIR, name), mount / name)
        yield str(mount)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


MIB = 1 << 20


def free_disk(directory):
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def fill_disk(directory, left):
    with open(f"{directory}/filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_disk(directory) - left)


def refused_for_space(answer, directory, left):
    """Says so, and has given back what it had written when it says it."""
    free = free_disk(directory)
    refused(answer, "space")
    assert free >= left - 8 * MIB, f"{free // MIB} MiB"  # what the guest and the log have written since


# The first is found out while the memory is being written (the agent leaves 64 MiB to others, agent/limits.h), the second
# before anything is.
@pytest.mark.parametrize("left", [64 * MIB + 24 * MIB, 16 * MIB])
def test_a_pause_that_finds_the_disk_full_leaves_it_running(tmp_path, left):
    with small_disk(tmp_path, 3 << 30) as directory:
        platform = Platform(directory).start()
        try:
            before = census(directory)
            with platform.create(memory_mb=256) as capsule:
                start_counter(capsule)
                capsule.shell("head -c 64000000 /dev/urandom > /dev/shm/memory")
                content = capsule.shell("sha256sum /dev/shm/memory")["stdout"]
                seen = told(capsule)
                fill_disk(directory, left)
                for _ in range(2):
                    refused_for_space(capsule.call("POST", "/pause", headers=WAIT), directory, left)
                    assert capsule.status() == "running"
                    seen = goes_on(capsule, seen)
                for answer in (lambda: capsule.call("POST", "/fork", {}, headers=WAIT),
                               lambda: capsule.call("POST", "/checkpoints", {"name": "x"}),
                               lambda: platform.request("POST", "/v1/snapshots", {"sandbox_id": capsule.id, "name": "x"})):
                    refused_for_space(answer(), directory, left)
                seen = goes_on(capsule, seen)
                os.unlink(f"{directory}/filler")
                pause(capsule)
                # A resume needs next to nothing.
                fill_disk(directory, 16 * MIB)
                resume(capsule)
                goes_on(capsule, seen)
                assert capsule.shell("sha256sum /dev/shm/memory")["stdout"] == content
                assert capsule.call("GET", "/checkpoints").json()["checkpoints"] == []
            assert census_soon(directory, before) == {}
        finally:
            platform.stop()


def test_a_resume_that_cannot_start_its_machine_leaves_it_paused(directory, start):
    platform = start()
    capsule = platform.create(memory_mb=256)
    start_counter(capsule)
    seen = told(capsule)
    pause(capsule)
    disk = record(capsule, directory)["disk"]
    for path in (disk["cowPath"], *disk["layers"]):
        os.rename(path, path + ".away")
        refused(capsule.call("POST", "/resume", headers=WAIT), "")
        assert capsule.status() == "paused"
        os.rename(path + ".away", path)
    resume(capsule)
    goes_on(capsule, seen)
    (child,) = fork(capsule)
    goes_on(child, seen)
    child.destroy()
    capsule.destroy()
