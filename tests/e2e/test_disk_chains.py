"""Each checkpoint and each fork puts a file on top of a capsule's disk; the files below are merged while it runs."""

import os

from branches import checkpoint, content, fill, fork, goes_on, machine_pid, pause, record, resume, rollback, start_counter, told, wait_for

MERGE_ABOVE = 16  # agent/limits.h kDiskLayersMerge


def open_layers(capsule):
    """Files of the chain that its machine has open, deleted ones, too."""
    folder = f"/proc/{machine_pid(capsule)}/fd"
    targets = {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
    return {target for target in targets if "/layers/disk-" in target or "/disk-" in target or target.endswith(".cow")}


def test_a_long_chain_is_merged(capsule):
    start_counter(capsule)
    capsule.shell("mkdir /root/steps")
    for number in range(MERGE_ABOVE + 1):
        capsule.shell(f"head -c 200000 /dev/urandom > /root/steps/{number}; sync")
        checkpoint(capsule, f"c{number}")
    assert len(record(capsule)["disk"]["layers"]) > MERGE_ABOVE  # as yet: a merge takes its time
    filled, seen = fill(capsule), told(capsule)
    steps = capsule.shell("cat /root/steps/* | sha256sum")["stdout"]
    wait_for(lambda: not record(capsule)["disk"].get("layers"), 60, "the chain is merged")
    assert len(open_layers(capsule)) == 1, open_layers(capsule)
    drop = "echo 3 > /proc/sys/vm/drop_caches; "
    assert capsule.shell(drop + "cat /root/steps/* | sha256sum")["stdout"] == steps
    goes_on(capsule, seen)

    # What comes on top later, what is made from it, and what was made before: all as ever.
    child = fork(capsule)[0]
    assert child.shell(drop + "cat /root/steps/* | sha256sum")["stdout"] == steps
    child.destroy()
    pause(capsule)
    resume(capsule)
    assert content(capsule) == filled
    rollback(capsule, "c3")
    assert capsule.shell(drop + "ls /root/steps | sort -n | tail -1")["stdout"] == "3\n"



def test_pause_while_merging(capsule):
    """A merge that is cut short leaves the chain as it was, and the next begins where it stopped."""
    capsule.shell("head -c 150000000 /dev/urandom > /root/large; sync")
    large = capsule.shell("sha256sum < /root/large")["stdout"]
    for number in range(MERGE_ABOVE + 1):
        checkpoint(capsule, f"c{number}")
    wait_for(lambda: os.stat(record(capsule)["disk"]["cowPath"]).st_blocks * 512 > 10_000_000, 30, "a merge goes on")
    pause(capsule)
    layers = len(record(capsule)["disk"]["layers"])
    resume(capsule)
    assert capsule.shell("echo 3 > /proc/sys/vm/drop_caches; sha256sum < /root/large")["stdout"] == large
    assert layers > MERGE_ABOVE
    wait_for(lambda: not record(capsule)["disk"].get("layers"), 90, "the chain is merged")
    assert capsule.shell("echo 3 > /proc/sys/vm/drop_caches; sha256sum < /root/large")["stdout"] == large
    rollback(capsule, "c0")  # its files are its own
    assert capsule.shell("echo 3 > /proc/sys/vm/drop_caches; sha256sum < /root/large")["stdout"] == large


# In the guest: small reads and writes all over a file whose blocks are in all layers; what was written must be read again.
BUSY = """
import hashlib, os, random, time
fd = os.open("/root/large", os.O_RDWR)
blocks, written, end = os.fstat(fd).st_size // 4096, {}, time.monotonic() + 10
while time.monotonic() < end:
    block, data = random.randrange(blocks), os.urandom(16) * 256
    os.pwrite(fd, data, block * 4096)
    written[block] = hashlib.md5(data).digest()
    os.pread(fd, 4096, random.randrange(blocks) * 4096)
    if len(written) % 20 == 0: os.fdatasync(fd)
    if len(written) % 100 == 0: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
wrong = sum(hashlib.md5(os.pread(fd, 4096, block * 4096)).digest() != digest for block, digest in written.items())
print("wrong:", wrong, "of many" if len(written) > 200 else f"of {len(written)}")
"""


def test_merging_under_a_busy_guest(capsule):
    """With extended L2 entries QEMU before 8.1 died of it (agent/disk/qcow2.cpp)."""
    capsule.shell("head -c 60000000 /dev/urandom > /root/large; sync; echo 3 > /proc/sys/vm/drop_caches")
    for number in range(MERGE_ABOVE + 1):
        checkpoint(capsule, f"c{number}")
    assert capsule.exec("python3", "-c", BUSY, timeout_sec=120)["stdout"] == "wrong: 0 of many\n"
    wait_for(lambda: not record(capsule)["disk"].get("layers"), 60, "the chain is merged")
