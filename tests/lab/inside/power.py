"""`power.py warm` makes the golden snapshots, so that what follows need not wait for a boot.

Both sides of a power cut: `power.py write` leads capsules through their lives and marks in the disk's log where it is;
`power.py check` sees after the cut what is left. The facts go to the console as JSON, tests/lab/lab.py judges them."""

import json
import mmap
import os
import subprocess
import sys
import time

sys.path.insert(0, "/lab/tests/e2e")
from wrenn_platform import Capsule, Platform  # noqa: E402

DISK = "/dev/vdc"
MARKS_BYTES = 1 << 20  # machine.py
BLOCK = 4096
BOOTS = 4
BOOT_SECONDS = 100  # 12 on a quiet machine, 40 on a busy one
RESUME_SECONDS = 60


def say(**facts):
    print("\nlab-fact: " + json.dumps(facts), flush=True)


def mark(name):
    """Returns when the mark is on the disk, past every cache: what follows is later in the log, what came before is earlier."""
    block = mmap.mmap(-1, BLOCK)
    block.write(f"lab-mark: {name}\n".encode())
    disk = os.open(DISK, os.O_WRONLY | os.O_DIRECT)
    os.pwrite(disk, block, os.lseek(disk, 0, os.SEEK_END) - MARKS_BYTES)
    os.close(disk)


def boot(platform, memory_mb):
    answer = platform.request("POST", "/v1/capsules", {"memory_mb": memory_mb}, headers={"Prefer": "wait=60"})
    assert answer.status == 201, answer
    capsule = Capsule(platform, answer.json()["id"])
    deadline = time.monotonic() + BOOT_SECONDS - 60
    while (status := capsule.status()) == "starting" and time.monotonic() < deadline:
        time.sleep(1)
    assert status == "running", f"{capsule.id} is {status}"
    return capsule


def create(platform, memory_mb):
    """A boot in a machine inside an emulated one may run into wrenn's own limits when the host is busy, and one in many stands
    still with both machines idle (QEMU 7.2): not what is tested."""
    for _ in range(BOOTS):
        try:
            return boot(platform, memory_mb)
        except AssertionError as refusal:
            trouble = str(refusal)
            print(trouble, platform.log_text(), sep="\n", flush=True)
            for capsule in platform.request("GET", "/v1/capsules").json():
                if capsule["status"] != "paused":
                    platform.request("DELETE", f"/v1/capsules/{capsule['id']}")
    raise AssertionError(f"no capsule in {BOOTS} attempts: {trouble}")


def warm():
    platform = Platform().start()
    with create(platform, 256):
        pass
    platform.stop()


def put(capsule, version):
    """The same on the capsule's disk and in its memory; 1 MiB of each, so that a half-saved one shows."""
    done = capsule.shell(f"for d in /root /tmp; do yes {version} | head -c 1048576 >$d/content; done; echo done")
    assert done["stdout"] == "done\n", done


def get(capsule):
    whole = "yes $v | head -c 1048576 | cmp -s - $d/content && echo $v whole || echo $v mixed"
    return capsule.shell(f"for d in /root /tmp; do v=$(head -n 1 $d/content); {whole}; done", timeout_sec=120)["stdout"].splitlines()


def change(capsule, action):
    answer = capsule.call("POST", "/" + action)
    assert answer.status == 200, answer


def write():
    platform = Platform(extra=["--on-exit", "keep"]).start()
    try:
        live(platform)
    except AssertionError:
        print(platform.log_text(), flush=True)
        raise
    say(written=True)
    platform.kill()


def live(platform):
    bystander = create(platform, 256)
    put(bystander, 100)
    change(bystander, "pause")
    mark("bystander paused")
    subject = create(platform, 256)
    say(bystander=bystander.id, subject=subject.id)
    for version in (1, 2):
        put(subject, version)
        mark(f"pause {version} begins")
        change(subject, "pause")
        mark(f"pause {version} answered")
        if version == 1:
            change(subject, "resume")
            mark("resumed")


def check(identities):
    begun = time.monotonic()
    platform = Platform().start()
    say(started_after=round(time.monotonic() - begun, 1))
    for identity in identities:
        capsule = Capsule(platform, identity)
        seen = capsule.call("GET").json()
        facts = {"capsule": identity, "status": seen.get("status"), "reason": seen.get("status_reason") or seen.get("error") or ""}
        if facts["status"] == "paused":
            answer = capsule.call("POST", "/resume")
            facts["resume"] = answer.status
            deadline = time.monotonic() + RESUME_SECONDS
            while answer.status == 200 and capsule.status() == "starting" and time.monotonic() < deadline:
                time.sleep(0.2)
            facts["resumed_after"] = round(time.monotonic() - begun, 1)
            try:
                facts["content"] = get(capsule)
            except AssertionError as refusal:
                facts["content"] = [str(answer), str(refusal), platform.log_text()]
        say(**facts, done_after=round(time.monotonic() - begun, 1))
    platform.kill()
    subprocess.run(["pkill", "-x", "qemu-system-x86"], check=False)


if __name__ == "__main__":
    {"warm": warm, "write": write, "check": lambda: check(sys.argv[2:])}[sys.argv[1]]()
