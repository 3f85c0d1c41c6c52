"""Forwarding of what listens on loopback. Everything is on this machine's loopback: 127.0.0.2 stands for the guest's address."""

import base64
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from envd import Envd, wait_until
from test_cgroups import root  # noqa: F401 (a fixture)

OUTSIDE = "127.0.0.2"


@pytest.fixture
def forwarding():
    one = Envd(["--forward", OUTSIDE])
    yield one
    one.stop()


class Echo:
    """A program that listens on a loopback address and sends back what it gets."""

    def __init__(self, family=socket.AF_INET, host="127.0.0.1", port=0):
        self.socket = socket.socket(family)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host, port))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(conn,), daemon=True).start()

    @staticmethod
    def _echo(conn):
        with conn:
            while data := conn.recv(65536):
                conn.sendall(data)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the accept() that would keep it listening
        self.socket.close()


def reach(port, host=OUTSIDE):
    try:
        return socket.create_connection((host, port), 5)
    except OSError:
        return None


def reached_within(port, seconds, host=OUTSIDE):
    """Times in which this machine stood still do not count."""
    begin = last = time.monotonic()
    late = 0.0
    while last - begin < seconds + late:
        conn = reach(port, host)
        if conn:
            return conn
        time.sleep(0.01)
        now = time.monotonic()
        late, last = late + max(0.0, now - last - 0.05), now
    raise AssertionError(f"port {port} is not reachable within {seconds} s")


def exchange(conn, data):
    conn.settimeout(20)
    got = b""
    sender = threading.Thread(target=lambda: (conn.sendall(data), conn.shutdown(socket.SHUT_WR)))
    sender.start()
    while part := conn.recv(65536):
        got += part
    sender.join()
    conn.close()
    return got


def test_a_listener_is_reachable_within_a_second(forwarding):
    echo = Echo()
    conn = reached_within(echo.port, 1.0)
    data = os.urandom(3 << 20)
    assert exchange(conn, data) == data  # and the end of one direction is passed on
    echo.close()


def test_ipv6(forwarding):
    try:
        echo = Echo(socket.AF_INET6, "::1")
    except OSError:
        pytest.skip("no IPv6 here")
    assert exchange(reached_within(echo.port, 10), b"six") == b"six"
    echo.close()


def test_a_program_that_envd_started(forwarding):
    script = ("import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); "
              "c = s.accept()[0]; c.sendall(b'hello'); c.close()")
    stream = forwarding.start("python3", ["-c", script], stdin=False)
    stream.start()
    port = int(base64.b64decode(next(stream)["data"]["stdout"]))
    conn = reached_within(port, 10)
    assert conn.recv(100) == b"hello"
    conn.close()
    assert stream.collect()[3]["exitCode"] == 0
    wait_until(lambda: reach(port) is None, 2, "the port is closed again")


def test_it_stops_with_the_listener(forwarding):
    echo = Echo()
    open_one = reached_within(echo.port, 10)
    open_one.sendall(b"begun")
    assert open_one.recv(10) == b"begun"
    echo.close()
    wait_until(lambda: reach(echo.port) is None, 10, "nobody listens any more")
    open_one.sendall(b"still")  # what is open goes on
    assert open_one.recv(10) == b"still"
    again = Echo(port=echo.port)
    assert exchange(reached_within(again.port, 10), b"again") == b"again"
    again.close()
    open_one.close()


def test_what_is_not_forwarded(forwarding):
    assert reach(forwarding.port) is None  # envd itself, though it listens on 127.0.0.1
    everywhere = Echo(host="0.0.0.0")
    other = Echo(host="127.0.0.3")
    time.sleep(1.2)
    assert exchange(reach(everywhere.port), b"direct") == b"direct"
    assert reach(other.port) is None and reach(forwarding.port) is None
    text = "".join(forwarding.log)
    assert str(everywhere.port) not in text and str(other.port) not in text and str(forwarding.port) + " " not in text
    everywhere.close()
    other.close()


def test_a_taken_port_is_left_alone_and_taken_when_free(forwarding):
    taken = Echo(host=OUTSIDE)
    inner = Echo(port=taken.port)
    time.sleep(1.2)
    assert forwarding.request("GET", "/health")[0] == 200
    taken.close()
    assert exchange(reached_within(inner.port, 1.5), b"mine") == b"mine"
    inner.close()


def test_many_connections_and_dead_ones(forwarding):
    echo = Echo()
    first = reached_within(echo.port, 10)
    conns = [reach(echo.port) for _ in range(100)]
    assert all(conns)
    for i, conn in enumerate(conns):
        conn.sendall(b"%d" % i)
    for i, conn in enumerate(conns):
        assert conn.recv(10) == b"%d" % i
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        conn.close()  # with a reset
    first.sendall(b"x")
    assert first.recv(1) == b"x"
    first.close()
    echo.close()
    assert forwarding.resident_kib() < 16 * 1024


def test_prepare_ends_forwarding_until_the_host_calls_again(forwarding):
    echo = Echo()
    conn = reached_within(echo.port, 10)
    conn.settimeout(5)
    assert forwarding.request("POST", "/snapshot/prepare")[0] == 204
    try:
        assert conn.recv(1) == b""
    except ConnectionResetError:
        pass
    time.sleep(1.2)
    assert reach(echo.port) is None
    assert forwarding.request("GET", "/health")[0] == 200
    assert exchange(reached_within(echo.port, 10), b"back") == b"back"
    echo.close()


def test_nothing_is_forwarded_unless_asked(envd):
    echo = Echo()
    time.sleep(1.2)
    assert reach(echo.port) is None
    echo.close()


def test_the_guests_own_address():
    """In a network of the test's own, with an eth0, as in a guest."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs root, unshare and ip")
    setup = ("mount -t tmpfs tmpfs /run && ip link set lo up && ip link add eth0 type veth peer name eth1 && ip address add 169.254.0.21/30 dev eth0 && "
             "ip link set eth0 up && ip link set eth1 up && exec \"$@\"")
    if subprocess.run(["unshare", "--net", "--mount", "--uts", "sh", "-c", setup, "sh", "true"], capture_output=True).returncode != 0:
        pytest.skip("cannot make a network namespace with an eth0")
    # There is no way into the namespace from here, so the whole test is one command in it.
    inner = f"""
import sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from envd import Envd
from test_ports import Echo, exchange, reach, reached_within
one = Envd(["--in-guest", "--cgroup-root", "/nonexistent"])
echo = Echo()
assert exchange(reached_within(echo.port, 1.0, "169.254.0.21"), b"guest") == b"guest"
assert reach(one.port, "169.254.0.21") is None
one.stop()
print("done")
"""
    done = subprocess.run(["unshare", "--net", "--mount", "--uts", "sh", "-c", setup, "sh", "/usr/bin/python3", "-c", inner],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", done.stderr


def switches(envd):
    """How often its threads have gone to sleep."""
    total = 0
    for task in os.listdir(f"/proc/{envd.pid}/task"):
        with open(f"/proc/{envd.pid}/task/{task}/status") as status:
            total += int(status.read().split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total


def test_nobody_is_woken_while_no_program_of_a_user_runs(root):  # noqa: F811
    one = Envd(["--forward", OUTSIDE, "--cgroup-root", root])
    try:
        one.shell("true")
        time.sleep(1.5)
        before = switches(one)
        time.sleep(3)
        assert switches(one) - before <= 4
        stream = one.start("sleep", ["1000"], stdin=False)  # from now on it looks
        pid = stream.start()
        echo = Echo()
        reached_within(echo.port, 10).close()
        one.signal(pid, "SIGNAL_SIGKILL")
        stream.collect()
        echo.close()
    finally:
        one.stop()
