"""The control plane and the agent die apart from each other: what the one finds out about the other, how soon, and what goes
on meanwhile. The reconciler's period is an hour here, so nothing that happens within seconds is owed to it."""

import base64
import os
import signal
import socket
import threading
import time

import pytest

from branches import WAIT, goes_on, machine_pid, record, start_counter, told, wait_for
from census import census, census_soon, kill_machines, machines
from sockets import Session, output
from test_gateway import start_program
from two_processes import Split
from wrenn_platform import SLOWNESS, Capsule

HOUR = ("--worker-reconcile-period", "1h")


@pytest.fixture
def apart(directory):
    """Both run; at the end every capsule goes, and nothing is left."""
    before = census(directory)
    platform = Split(directory, cp_options=HOUR)
    try:
        yield platform.start()
        if platform.agent.poll() is not None:
            platform.start_agent()
        if platform.process.poll() is not None:
            platform.start_control_plane()
        platform.destroy_all()
        assert census_soon(directory, before) == {}
    finally:
        platform.stop()
        kill_machines(directory)


def reason(capsule):
    return capsule.call("GET").json()["metadata"]["reason"]


def is_told(capsule, since):
    wait_for(lambda: capsule.status() == "error", 20, "the API tells the end of the machine")
    print(f"told after {time.monotonic() - since:.2f} s: {reason(capsule)[:120]}")


def test_the_end_of_a_machine_is_told_at_once(apart, directory):
    for _ in range(3):
        capsule = apart.create(memory_mb=256)
        capsule.shell("true")  # a clone that nobody has talked to may end in other ways
        since = time.monotonic()
        os.kill(machine_pid(capsule, directory), signal.SIGKILL)
        is_told(capsule, since)
        assert "ended unexpectedly" in reason(capsule)
        capsule.destroy()
    capsule = apart.create(memory_mb=256)
    capsule.shell("true")
    since = time.monotonic()
    os.kill(machine_pid(capsule, directory), signal.SIGSTOP)
    is_told(capsule, since)
    assert "did not answer" in reason(capsule)
    capsule.destroy()


def test_a_pause_after_idleness_is_told(apart):
    capsule = apart.create(memory_mb=256, timeout_sec=2)
    wait_for(lambda: capsule.status() == "paused", 20, "the API tells the pause")
    assert reason(capsule) == "ttl_expired"


def test_an_agent_that_comes_back_is_looked_at(apart, directory):
    """With a machine that went on and one that ended while it was away."""
    kept, lost = apart.create(memory_mb=256), apart.create(memory_mb=256)
    start_counter(kept)
    seen = told(kept)
    apart.kill_agent()
    os.kill(machine_pid(lost, directory), signal.SIGKILL)
    apart.start_agent()
    since = time.monotonic()
    is_told(lost, since)
    assert kept.status() == "running"
    goes_on(kept, seen)
    lost.destroy()  # what failed is in no list


def agent_socket(directory):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(f"{directory}/agent.sock")
    return connection


def ask_agent(directory, request):
    """The connection, after the head of the answer and what came with it."""
    connection = agent_socket(directory)
    connection.sendall(request.encode())
    seen = b""
    while b"\r\n\r\n" not in seen:
        piece = connection.recv(65536)
        assert piece, seen
        seen += piece
    return connection, seen


def test_a_control_plane_that_is_away_is_not_missed(apart, directory):
    """Programs run on, the agent's own ways into the guest stay open, idle capsules are paused; and when the control plane is
    back, every capsule is what it was, and what was begun can be taken up again."""
    capsule, idle = apart.create(memory_mb=256), apart.create(memory_mb=256, timeout_sec=6)
    idle.shell("echo kept > /dev/shm/kept")
    start_counter(capsule)
    start_program(capsule, 3000)
    seen = told(capsule)
    boot = capsule.shell("cat /proc/sys/kernel/random/boot_id")["stdout"]
    loop = ["-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done"]
    before = machines(directory)
    with Session(capsule, "/pty") as terminal, Session(capsule, "/exec/stream") as stream:
        terminal.send(type="start", cmd="/bin/sh", envs={"PS1": "", "TERM": "dumb"})
        shell = terminal.until("started")[-1]["tag"]
        terminal.send(type="input", data=base64.b64encode(b"kept=in-the-shell\n").decode())
        stream.send(type="start", cmd="/bin/sh", args=loop)
        program = stream.until("start")[-1]["pid"]
        counted = int(stream.until("stdout")[-1]["data"].split()[-1])
        # A stream through the agent, as a host's own proxy would have it.
        proxied, _ = ask_agent(directory, f"GET /proxy/{capsule.id}/3000/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        apart.kill_control_plane()

    # What is open at the agent goes on, and new requests get through it.
    for _ in range(5):
        assert proxied.recv(65536)
        time.sleep(0.2)
    answered, head = ask_agent(directory, f"GET /proxy/{capsule.id}/3000/x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    answered.close()
    # The idle one's time is over, and nobody has to be asked for that.
    wait_for(lambda: record(idle, directory)["state"] == "paused", 30, "the idle capsule is paused")
    assert record(capsule, directory)["state"] == "running"
    assert proxied.recv(65536)
    proxied.close()
    assert set(machines(directory)) <= set(before)

    apart.start_control_plane()
    assert (capsule.status(), idle.status()) == ("running", "paused")  # the first answer is right
    assert reason(idle) == "ttl_expired"
    assert capsule.shell("cat /proc/sys/kernel/random/boot_id")["stdout"] == boot
    goes_on(capsule, seen)
    with Session(capsule, "/pty") as terminal:
        terminal.send(type="connect", tag=shell)
        terminal.send(type="input", data=base64.b64encode(b"echo still-$kept\n").decode())
        text = b""
        while b"still-in-the-shell" not in text:
            text += output(terminal.until("output"))
    with Session(capsule, f"/processes/{program}/stream") as stream:
        assert int(stream.until("stdout")[-1]["data"].split()[-1]) > counted
    assert idle.call("POST", "/resume", headers=WAIT).json()["status"] == "running"
    assert idle.shell("cat /dev/shm/kept")["stdout"] == "kept\n"


@pytest.mark.parametrize("operation", ["pause", "resume", "fork"])
def test_a_control_plane_that_dies_in_an_operation(apart, operation):
    """The agent ends what it was asked for; the control plane finds out when it is back, without the hour's round."""
    capsule = apart.create(memory_mb=256)
    start_counter(capsule)
    seen = told(capsule)
    if operation == "resume":
        assert capsule.call("POST", "/pause", headers=WAIT).status == 200

    def ask():
        try:
            capsule.call("POST", f"/{operation}", {"count": 2} if operation == "fork" else None, headers=WAIT)
        except OSError:
            pass  # that is what the kill does to it

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.02 * SLOWNESS)
    apart.kill_control_plane()
    asking.join()
    apart.start_control_plane()
    # The operation may have been over, or not have begun; it can be told by what can be done now.
    for one in apart.request("GET", "/v1/capsules").json():
        rested = Capsule(apart, one["id"])
        wait_for(lambda: rested.call("POST", "/resume", headers=WAIT).status == 200
                 or rested.call("POST", "/exec", {"cmd": "true"}).status == 200 or rested.status() in ("error", "stopped"),
                 30, "nothing stays in between")
    goes_on(capsule, seen)
