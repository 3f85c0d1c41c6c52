"""What envd does before a snapshot and after a resume, and how /init is repeated."""

import http.client
import json
import time

import pytest

from envd import alive, wait_until
from test_cgroups import grouped, root  # noqa: F401 (fixtures)

JSON = {"Content-Type": "application/json"}


def post(envd, path, message=None, headers=None):
    status, fields, body = envd.request("POST", path, json.dumps(message) if message is not None else None, {**JSON, **(headers or {})})
    return status, fields, body


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def runs(pid):
    before = cpu_ticks(pid)
    time.sleep(0.3)
    return cpu_ticks(pid) > before


def busy(envd):
    stream = envd.start("/bin/sh", ["-c", "while :; do :; done"], stdin=False)
    return stream, stream.start()


def test_freeze_stops_everything_of_users(grouped):  # noqa: F811
    stream, pid = busy(grouped)
    terminal = grouped.start("/bin/sh", ["-c", "while :; do :; done"], pty=(80, 24))
    other = terminal.start()
    wait_until(lambda: runs(pid) and runs(other), what="both run")
    status, headers, _ = post(grouped, "/freeze")
    assert status == 204 and headers["X-Envd-Freeze-Audit"].startswith("frozen_ms=")
    assert not runs(pid) and not runs(other)
    assert grouped.request("GET", "/health")[0] == 200
    assert not runs(pid)  # /health thaws nothing: the token may still be the old one
    assert post(grouped, "/unfreeze")[0] == 204
    wait_until(lambda: runs(pid) and runs(other), what="both run")
    for number in (pid, other):
        grouped.signal(number, 9)
    stream.collect()
    terminal.collect()


def test_init_thaws(grouped):  # noqa: F811
    stream, pid = busy(grouped)
    assert post(grouped, "/freeze")[0] == 204
    assert not runs(pid)
    assert post(grouped, "/init", {"accessToken": "t"})[0] == 204
    wait_until(lambda: runs(pid), what="it runs")
    assert post(grouped, "/freeze")[0] == 401  # and the hooks need the token
    grouped.headers = {"X-Access-Token": "t"}
    grouped.signal(pid, 9)
    stream.collect()


def test_a_frozen_envd_can_stop(grouped):  # noqa: F811
    stream, pid = busy(grouped)
    assert post(grouped, "/freeze")[0] == 204
    grouped.stop()
    wait_until(lambda: not alive(pid), what="the process is gone")


def test_hooks_on_a_machine_that_is_not_a_guest(envd):
    for path in ("/freeze", "/fsfreeze", "/fsthaw"):
        status, _, body = post(envd, path)
        assert status == 400 and json.loads(body)["code"] == 400, path
    for path in ("/unfreeze", "/collapse", "/snapshot/prepare"):
        assert post(envd, path)[0] == 204, path
    assert envd.request("GET", "/health")[0] == 200


def test_connections_from_before_are_cut(fresh):
    stream = fresh.start("sleep", ["1000"], stdin=False)
    pid = stream.start()
    idle = http.client.HTTPConnection("127.0.0.1", fresh.port, timeout=10)
    idle.request("GET", "/health")
    idle.getresponse().read()
    kept = http.client.HTTPConnection("127.0.0.1", fresh.port, timeout=10)
    kept.request("POST", "/snapshot/prepare")
    answer = kept.getresponse()
    assert answer.status == 204 and answer.read() == b""
    kept.request("GET", "/health")
    answer = kept.getresponse()
    assert answer.status == 200 and answer.read()
    assert idle.sock.recv(1) == b""
    with pytest.raises((EOFError, ConnectionError, http.client.IncompleteRead)):
        stream.raw()
    assert alive(pid) and [p["pid"] for p in fresh.processes()] == [pid]
    kept.request("GET", "/health")  # once only: this connection is of now
    assert kept.getresponse().status == 200
    fresh.signal(pid, 9)


def test_an_overtaken_init_changes_nothing(fresh):
    def init(**message):
        status, headers, _ = post(fresh, "/init", message)
        assert status == 204 and headers["X-Envd-Version"] == "0.6.13"
        return json.loads(fresh.request("GET", "/envs")[2])

    assert init(timestamp="2026-01-01T00:00:10Z", sandboxId="a", envVars={"A": "1"})["A"] == "1"
    assert init(timestamp="2026-01-01T00:00:10Z", envVars={"A": "2"})["A"] == "1"
    assert init(timestamp="2026-01-01T00:00:09.5Z", sandboxId="a", envVars={"A": "3"})["A"] == "1"
    assert init(timestamp="2026-01-01T00:00:10.000001Z", envVars={"A": "4"})["A"] == "4"
    assert init(envVars={"A": "5"})["A"] == "5"
    assert init(timestamp="2026-01-01T00:00:01Z", sandboxId="b", envVars={"A": "6"})["A"] == "6"  # a clone
    assert init(timestamp="2025-12-31T23:00:00Z", envVars={"A": "7"})["A"] == "7"  # the host's clock was set back


def test_events_address(fresh):
    for name in ("hyperloopIp", "hyperloopIP"):
        assert post(fresh, "/init", {name: "10.0.0.9"})[0] == 204
        env = json.loads(fresh.request("GET", "/envs")[2])
        assert env["WRENN_EVENTS_ADDRESS"] == env["E2B_EVENTS_ADDRESS"] == "http://10.0.0.9"
    assert post(fresh, "/init", {"hyperloopIp": "example.com"})[0] == 400
