"""Pause, fork, checkpoint: what tests do with the moments of a capsule."""

import glob
import http.client
import json
import os
import re
import socket
import time

from wrenn_platform import DIR, SLOWNESS, Capsule

WAIT = {"Prefer": "wait=60"}
# A program with its state in memory alone: a number that it counts up twenty times a second, and tells who asks.
COUNTER = """
import os, time
count, secret = 0, os.urandom(8).hex()
while True:
    count += 1
    with open("/tmp/told.new", "w") as file: file.write(f"{count} {secret}")
    os.rename("/tmp/told.new", "/tmp/told")
    time.sleep(0.05)
"""


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds * SLOWNESS
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def pause(capsule):
    answer = capsule.call("POST", "/pause", headers=WAIT)
    assert answer.status == 200 and answer.json()["status"] == "paused", answer


def resume(capsule):
    answer = capsule.call("POST", "/resume", headers=WAIT)
    assert answer.status == 200 and answer.json()["status"] == "running", answer


def fork(capsule, count=1, status="running"):
    answer = capsule.call("POST", "/fork", {"count": count}, headers=WAIT)
    assert answer.status == 201, answer
    children = answer.json()["capsules"]
    assert [child["status"] for child in children] == [status] * count, children
    return [Capsule(capsule.platform, child["id"]) for child in children]


def checkpoint(capsule, name):
    answer = capsule.call("POST", "/checkpoints", {"name": name})
    assert answer.status == 201, answer
    return answer.json()["id"]


def rollback(capsule, which):
    answer = capsule.call("POST", "/rollback", {"checkpoint": which}, headers=WAIT)
    assert answer.status == 200 and answer.json()["status"] == "running", answer


def snapshot(capsule, name, overwrite=False):
    answer = capsule.platform.request("POST", "/v1/snapshots" + ("?overwrite=true" if overwrite else ""),
                                      {"sandbox_id": capsule.id, "name": name})
    assert answer.status == 201, answer
    return answer.json()


def delete_snapshot(platform, name):
    return platform.request("DELETE", f"/v1/snapshots/{name}")


def start_counter(capsule):
    capsule.call("POST", "/exec", {"cmd": "python3", "args": ["-c", COUNTER], "background": True})
    wait_for(lambda: capsule.shell("cat /tmp/told")["exit_code"] == 0, 20, "the counter counts")


def told(capsule):
    """(count, secret) of the counter."""
    words = capsule.shell("cat /tmp/told")["stdout"].split()
    return int(words[0]), words[1]


def goes_on(capsule, after):
    """The counter is the same program as before and counts on from where it was."""
    count, secret = told(capsule)
    assert secret == after[1] and count >= after[0], (count, secret, after)
    wait_for(lambda: told(capsule)[0] > count, 10, "the counter goes on")
    return told(capsule)


def clock_error_ms(capsule):
    """By how much the guest's clock is wrong, at least: it was read between two readings of ours."""
    errors = []
    for _ in range(5):
        before = time.time()
        guest = float(capsule.exec("date", "+%s.%N")["stdout"])
        after = time.time()
        errors.append(max(0, before - guest, guest - after))
    return max(errors) * 1000


def content(capsule):
    """What fill() made, as a checksum."""
    return capsule.shell("cat /root/disk /dev/shm/memory | sha256sum")["stdout"]


def fill(capsule):
    """Something on the disk and something in memory that was nowhere before."""
    capsule.shell("head -c 3000000 /dev/urandom > /root/disk; head -c 5000000 /dev/urandom > /dev/shm/memory; sync")
    return content(capsule)


def record(capsule, directory=DIR):
    """What the agent wrote down about it, and where. A capsule that was made of a spare machine keeps that one's place."""
    for path in glob.glob(f"{directory}/sandboxes/*/sandbox.json"):
        with open(path) as file:
            found = json.load(file)
        if found["sandboxId"] == capsule.id:
            return found
    raise AssertionError(f"no record of {capsule.id}")


def machine_pid(capsule, directory=DIR):
    return record(capsule, directory)["machine"]["pid"]


def machine_runs(pid):
    """Whether there is such a process and it has not ended: one that nobody has reaped yet has no arguments."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def flip_bit(path, offset=None):
    """One bit of a file on disk, at `offset` or in its middle."""
    with open(path, "r+b") as file:
        at = os.path.getsize(path) // 2 if offset is None else offset
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("agent", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


def agent_metrics(directory=DIR):
    """{name with its labels: value} of the agent's /metrics."""
    connection = _UnixConnection(f"{directory}/agent.sock")
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return {name: float(value) for name, value in re.findall(r"^(wrenn_\S+) (\S+)$", text, re.M)}
