"""Ports of capsules: what goes to the agent and what comes back, and that nothing of the API is seen on their names."""
import hashlib
import http.client
import json
import os
import socket
import struct
import threading
import time

import pytest

from control_plane import ControlPlane
from fake_agent import FakeAgent

UNKNOWN = "cl-" + "0" * 25


@pytest.fixture(scope="module")
def capsule(shared):
    return shared.create()


def name(capsule, port=8080, domain="localhost"):
    return f"{port}-{capsule}.{domain}"


def ask(plane, host, path="/", method="GET", body=None, headers=None, **more):
    return plane.request(method, path, body, headers={"Host": host, **(headers or {})}, key=None, **more)


def fields(heard, key):
    return [value for name, value in heard["headers"] if name.lower() == key.lower()]


def raw(plane, text, timeout=10):
    """A connection on which `text` was sent."""
    connection = socket.create_connection(("127.0.0.1", plane.port), timeout=timeout)
    connection.sendall(text.encode())
    return connection


def read_until(connection, mark):
    data = b""
    while mark not in data:
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return data


def test_by_name(shared, capsule):
    answer = ask(shared, name(capsule) + f":{shared.port}", "//a%2Fb/?x=%20&y=/", "POST", "body")
    assert answer.status == 200, answer.body
    heard = answer.json
    assert heard["path"] == f"/proxy/{capsule}/8080//a%2Fb/?x=%20&y=/"
    assert (heard["method"], heard["body"]) == ("POST", "body")
    assert fields(heard, "Host") == [f"{name(capsule)}:{shared.port}"]
    assert fields(heard, "X-Forwarded-Host") == fields(heard, "Host")
    assert fields(heard, "X-Forwarded-For") == ["127.0.0.1"] and fields(heard, "X-Forwarded-Proto") == ["http"]
    assert fields(heard, "Via") == ["1.1 wrenn"]
    assert "X-Request-Id" not in answer.headers


def test_by_headers(shared, capsule):
    for spelled in (capsule, capsule[3:], capsule[3:] + "-6532622b"):
        answer = ask(shared, "127.0.0.1", "/x", headers={"E2b-Sandbox-Id": spelled, "E2b-Sandbox-Port": "49999"})
        assert answer.json["path"] == f"/proxy/{capsule}/49999/x"
    answer = ask(shared, "127.0.0.1", headers={"E2b-Sandbox-Port": "49999"})
    assert (answer.status, answer.json) == (400, {"message": "missing header E2b-Sandbox-Id", "code": 400})


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "HEAD"])
def test_any_method(shared, capsule, method):
    answer = ask(shared, name(capsule), method=method)
    assert answer.status == 200
    assert shared.agent.ports.seen[-1][0] == method


@pytest.mark.parametrize("path", ["/health", "/v1/capsules", "/metrics", "/openapi.yaml", "/api/v1/capsules"])
def test_the_api_is_not_there(shared, capsule, path):
    answer = ask(shared, name(capsule), path, headers={"X-API-Key": shared.key})
    assert answer.status == 200 and answer.json["path"] == f"/proxy/{capsule}/8080{path}"
    # Nor on names like it.
    for host in (name(UNKNOWN), "99999-x.localhost", name(capsule, domain="example.net")):
        assert ask(shared, host, path, headers={"X-API-Key": shared.key}).status in (400, 502)
    assert shared.get("/health").status == 200


def test_keys_stay_here(shared, capsule):
    secrets = {"X-API-Key": shared.key, "Authorization": f"Bearer {shared.key}", "X-Wrenn-Agent-Token": "mine"}
    answer = ask(shared, name(capsule), headers=secrets)
    assert shared.key.encode() not in answer.body and b"mine" not in answer.body
    # Nor a session, by field or by a browser that reaches a guest on our own name.
    session = "wrs_" + "7" * 64
    for told, kept in ((f"wrenn_session={session}; wrenn_csrf=c5f", []), (f"a=b; wrenn_session={session}; c=d ;wrenn_csrf=c5f", ["a=b; c=d"])):
        heard = ask(shared, name(capsule), headers={"Authorization": f"Bearer {session}", "Cookie": told}).json
        assert fields(heard, "Authorization") == [] and fields(heard, "Cookie") == kept
    own = {"X-API-Key": "of-the-program", "Authorization": "Bearer of-the-program", "X-Access-Token": "t", "Cookie": "a=b"}
    heard = ask(shared, name(capsule, 49983), headers=own).json
    for key, value in own.items():
        assert fields(heard, key) == [value]


def test_hop_by_hop(shared, capsule):
    heard = ask(shared, name(capsule), headers={"Connection": "X-Mine, close", "X-Mine": "1", "Keep-Alive": "5",
                                                "TE": "trailers", "Proxy-Authorization": "x", "X-Kept": "1"}).json
    for gone in ("X-Mine", "Keep-Alive", "TE", "Proxy-Authorization"):
        assert fields(heard, gone) == []
    assert fields(heard, "X-Kept") == ["1"]


@pytest.mark.parametrize("host, status", [
    (name(UNKNOWN), 502), ("8080-iabc.localhost", 502), ("0-" + UNKNOWN + ".localhost", 400),
    ("70000-" + UNKNOWN + ".localhost", 400), ("80-a_b.localhost", 400), (name(UNKNOWN, domain="example.net"), 400)])
def test_refusals(shared, host, status):
    answer = ask(shared, host)
    assert answer.status == status and answer.headers["Content-Type"] == "application/json"
    assert answer.json["code"] == status
    if status == 502:
        identity = host.split(".")[0].split("-", 1)[1]
        assert answer.json == {"sandboxId": identity, "message": "The sandbox was not found", "code": 502}
    page = ask(shared, host, headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status == status and page.headers["Content-Type"].startswith("text/html")


def test_a_destroyed_capsule_is_not_found(shared):
    gone = shared.create()
    assert ask(shared, name(gone)).status == 200
    assert shared.delete(f"/v1/capsules/{gone}").status == 204
    answer = ask(shared, name(gone))
    assert (answer.status, answer.json["message"]) == (502, "The sandbox was not found")


def test_no_two_meanings_of_a_request(shared, capsule):
    seen = len(shared.agent.ports.seen)
    host = name(capsule)
    for head in (f"GET / HTTP/1.1\r\nHost: {host}\r\nHost: 127.0.0.1\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost : {host}\r\n\r\n",
                 f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n",
                 f"CONNECT {host}:80 HTTP/1.1\r\nHost: {host}\r\n\r\n"):
        with raw(shared, head) as connection:
            assert connection.recv(65536).split()[1] in (b"400", b"501"), head
    assert len(shared.agent.ports.seen) == seen
    # The host of a whole URL counts, whatever Host says, and both hops agree on it.
    with raw(shared, f"GET http://{host}/abs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") as connection:
        answer = read_until(connection, b'"body"')
    assert f"/proxy/{capsule}/8080/abs".encode() in answer and b"127.0.0.1:" not in answer.split(b"X-Forwarded")[0]
    with raw(shared, f"GET http://127.0.0.1/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") as connection:
        assert b"200" in connection.recv(65536).split(b"\r\n")[0]
    assert len(shared.agent.ports.seen) == seen + 1


def test_big_bodies_and_expect(shared, capsule):
    body = os.urandom(1 << 20) * 24
    answer = ask(shared, name(capsule), "/echo", "POST", body)
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()
    pieces = (body[i:i + 100_000] for i in range(0, 4 << 20, 100_000))
    answer = ask(shared, name(capsule), "/echo", "PUT", pieces)  # chunked
    assert len(answer.body) == 42 * 100_000
    with raw(shared, f"POST /echo HTTP/1.1\r\nHost: {name(capsule)}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n") as one:
        assert read_until(one, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        one.sendall(b"hello")
        assert read_until(one, b"hello").startswith(b"HTTP/1.1 200 ")


UPGRADE = "GET /up HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: tally\r\n\r\n"


def test_upgrades_both_ways_and_half_way(shared, capsule):
    with raw(shared, UPGRADE.format(name(capsule)) + "early") as connection:
        assert b" 101 " in read_until(connection, b"EARLY").split(b"\r\n")[0]
        data, got = b"x" * 3_000_000, 0
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        while got < len(data):
            got += len(connection.recv(1 << 20))
        sender.join()
        connection.shutdown(socket.SHUT_WR)
        assert read_until(connection, b")") == b"(%d)" % (len(data) + 5)
        assert connection.recv(1) == b""


def test_what_breaks_off_is_seen_to(shared, capsule):
    with raw(shared, f"GET /break HTTP/1.1\r\nHost: {name(capsule)}\r\n\r\n") as connection:
        read_until(connection, b"hello\r\n")
        with pytest.raises(AssertionError):
            read_until(connection, b"0\r\n\r\n")
    answer = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
    answer.request("GET", "/break", headers={"Host": name(capsule)})
    with pytest.raises(http.client.IncompleteRead):
        answer.getresponse().read()


def test_an_agent_that_is_gone(plane):
    capsule = plane.create()
    with raw(plane, UPGRADE.format(name(capsule))) as connection:
        read_until(connection, b"\r\n\r\n")
        plane.agent.stop()
        # Cut, or ended: in any case not left hanging.
        try:
            assert connection.recv(1) in (b"", b"(")
        except ConnectionResetError:
            pass
    answer = ask(plane, name(capsule))
    assert (answer.status, answer.json["sandboxId"]) == (503, capsule)
    assert answer.json["message"] == "The host of the sandbox does not answer"


def test_a_client_that_resets_is_gone_for_the_program(shared, capsule):
    with raw(shared, UPGRADE.format(name(capsule))) as connection:
        read_until(connection, b"\r\n\r\n")
        assert shared.agent.ports.upgraded == 1
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + 5
    while shared.agent.ports.upgraded and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not shared.agent.ports.upgraded


def test_open_streams_do_not_hold_up_the_end(plane):
    capsule = plane.create()
    with raw(plane, f"GET /hold HTTP/1.1\r\nHost: {name(capsule)}\r\n\r\n") as stream, \
            raw(plane, UPGRADE.format(name(capsule))) as upgraded:
        read_until(stream, b"hello\r\n")
        read_until(upgraded, b"\r\n\r\n")
        start = time.monotonic()
        assert plane.stop() == 0
        assert time.monotonic() - start < 8
    plane.agent.ports.release.set()
    plane.start()  # for the fixture


def test_figures(shared, capsule):
    ask(shared, name(capsule))
    text = shared.get("/metrics").body.decode()
    assert 'wrenn_cp_gateway_requests_total{outcome="answered"}' in text


def test_what_clients_are_told(shared):
    created = shared.post("/v1/capsules", {}).json
    capsule = created["id"]
    assert created["domain"] == f"localhost:{shared.port}"
    assert created["envd_access_token"] == "token-of-" + capsule
    told = shared.get(f"/v1/capsules/{capsule}").json
    assert (told["domain"], told["envd_access_token"]) == (created["domain"], created["envd_access_token"])
    assert shared.post(f"/v1/capsules/{capsule}/pause").json["envd_access_token"] == created["envd_access_token"]
    assert shared.post(f"/v1/capsules/{capsule}/resume").json["envd_access_token"] == created["envd_access_token"]
    assert shared.delete(f"/v1/capsules/{capsule}").status == 204
    assert "envd_access_token" not in shared.get(f"/v1/capsules/{capsule}").json
    for listed in shared.get("/v1/capsules").json:
        assert "envd_access_token" not in listed and "domain" not in listed
    assert shared.request("GET", f"/v1/capsules/{capsule}", key=shared.add_key()).status == 404


def run_with(agent_token, cp_token, *flags):
    agent = FakeAgent(token=agent_token)
    before = os.environ.pop("WRENN_AGENT_TOKEN", None)
    if cp_token is not None:
        os.environ["WRENN_AGENT_TOKEN"] = cp_token
    try:
        plane = ControlPlane(agent.address, *flags)
    finally:
        os.environ.pop("WRENN_AGENT_TOKEN", None)
        if before is not None:
            os.environ["WRENN_AGENT_TOKEN"] = before
    plane.agent = agent
    return plane


@pytest.mark.parametrize("told, admitted", [("s3cret", True), ("wrong", False), ("", False), (None, False)])
def test_the_agents_token(told, admitted):
    plane = run_with("s3cret", told)
    try:
        answer = plane.post("/v1/capsules", {})
        if admitted:
            assert answer.status == 201, answer.body
            capsule = answer.json["id"]
            assert plane.post(f"/v1/capsules/{capsule}/exec", {"cmd": "true"}).status == 200
            # A client's own does not count, and the guest does not see ours.
            heard = ask(plane, name(capsule), headers={"X-Wrenn-Agent-Token": "wrong"})
            assert heard.status == 200
        else:
            assert answer.status >= 500 and answer.status != 401, answer.body
            assert plane.agent.sandboxes == {}
    finally:
        assert plane.stop() == 0
        plane.agent.stop()
        plane.remove()


def test_domains_are_checked():
    import subprocess
    from control_plane import WRENN
    done = subprocess.run([WRENN, "cp", "--gateway-domains", "*.example.com", "--print-config"], capture_output=True, text=True)
    assert done.returncode != 0 and "gateway.domains" in done.stderr


def test_another_domain():
    plane = run_with(None, None, "--gateway-domains", "sbx.example.com,localhost")
    try:
        created = plane.post("/v1/capsules", {}).json
        assert created["domain"] == "sbx.example.com"
        for domain in ("sbx.example.com", "SBX.example.com:443", "localhost"):
            assert ask(plane, name(created["id"], domain=domain)).status == 200
        assert ask(plane, name(created["id"], domain="example.com")).status == 400
        headers = {"E2b-Sandbox-Id": created["id"], "E2b-Sandbox-Port": "80"}
        assert ask(plane, "sandbox.sbx.example.com", headers=headers).status == 200
        assert ask(plane, "api.sbx.example.com", "/health", headers=headers).json["status"] == "ok"
    finally:
        assert plane.stop() == 0
        plane.agent.stop()
        plane.remove()
