"""Client against servers that behave, and that do not."""

import socket
import threading
import time

import pytest

from authority import Authority
from servers import HttpServer, Probe, Server, answer, read_request


def local(server, path="/", host="127.0.0.1"):
    return f"http://{host}:{server.port}{path}"


def test_a_request_arrives_as_it_is(probe):
    with HttpServer(lambda *_: answer(b"made", "201 Created", ["X-One: 1", "X-Two:"])) as server:
        got = probe.ask(local(server, "/a%20b?c=d"), method="POST", body='{"é":1}', headers=["Content-Type: application/json", "X-Empty:"],
                        allow_private=True)
        assert (got["status"], got["body"], got["cut"]) == (201, "made", False)
        assert "X-One: 1" in got["headers"] and "X-Two: " in got["headers"]
        line, fields, body = server.requests[0]
        assert line == "POST /a%20b?c=d HTTP/1.1"
        assert body.decode() == '{"é":1}'
        assert fields["content-type"] == "application/json" and fields["x-empty"] == ""
        assert fields["host"] == f"127.0.0.1:{server.port}" and fields["user-agent"].startswith("wrenn/")
        assert "expect" not in fields and "authorization" not in fields and "accept-encoding" not in fields


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"])
def test_methods_without_a_body(probe, method):
    with HttpServer() as server:
        assert probe.ask(local(server), method=method, allow_private=True)["status"] == 200
        line, fields, body = server.requests[0]
        assert line == f"{method} / HTTP/1.1" and body == b"" and "content-type" not in fields
        assert fields.get("content-length") == ("0" if method in ("POST", "PUT", "PATCH") else None)


def test_an_answer_to_head_has_no_body(probe):
    with HttpServer(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") as server:
        got = probe.ask(local(server), method="HEAD", allow_private=True)
        assert (got["status"], got["body"]) == (200, "")


def test_a_large_body_arrives_whole(probe):
    with HttpServer(lambda line, fields, body: answer(str(len(body)).encode())) as server:
        assert probe.ask(local(server), method="POST", body="x" * 3_000_000, allow_private=True)["body"] == "3000000"


@pytest.mark.parametrize("url", ["", "localhost", "ftp://localhost/", "file:///etc/passwd", "gopher://localhost/", "http://", "http://a b/",
                                 "http://localhost:0x50/", "http://localhost:70000/", "http://user:secret@localhost/",
                                 "http://user@localhost/", "http://localhost/\r\nX: y", "http://localhost/\0", "http://[::1/",
                                 "http://localhost/" + "x" * 9000])
def test_no_such_url(probe, url):
    got = probe.ask(url or " ", allow_private=True)
    assert got["error"] == "invalid_argument"
    assert "secret" not in got["message"]


@pytest.mark.parametrize("request_", [{"method": "GET /"}, {"method": ""}, {"method": "CONNECT"}, {"headers": ["Host: other"]},
                                      {"headers": ["content-length: 3"]}, {"headers": ["Transfer-Encoding: chunked"]},
                                      {"headers": ["X: a\r\nY: b"]}, {"headers": ["X Y: b"]}])
def test_what_would_forge_a_request_is_refused(probe, request_):
    with HttpServer() as server:
        assert probe.ask(local(server), allow_private=True, **request_)["error"] == "invalid_argument"
        assert server.connections == 0


def test_no_redirect_is_followed(probe):
    with HttpServer() as target, HttpServer(lambda *_: answer(b"", "302 Found", [f"Location: {local(target)}"])) as server:
        got = probe.ask(local(server), allow_private=True)
        assert got["status"] == 302 and f"Location: {local(target)}" in got["headers"]
        assert target.connections == 0


# Addresses.

@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f.1", "0x7f000001", "017700000001",
                                  "127.1", "127.0.0.1.", "0", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.53",
                                  "①②⑦.⓪.⓪.①"])
def test_no_spelling_of_this_machine_is_public(probe, host):
    with HttpServer(host="0.0.0.0") as server:
        got = probe.ask(local(server, host=host))
        # Where such a spelling is no name or address at all, that is as good.
        refusals = {"permission_denied"} if host.isascii() and not host.endswith(".") else {"permission_denied", "invalid_argument", "unavailable"}
        assert got["error"] in refusals, got
        assert server.connections == 0


def test_ipv6_loopback_is_not_public(probe):
    with HttpServer(host="::1") as server:
        assert probe.ask(local(server, host="[::1]"))["error"] == "permission_denied"
        assert probe.ask(local(server, host="[0:0:0:0:0:0:0:1]"))["error"] == "permission_denied"
        assert server.connections == 0
        assert probe.ask(local(server, host="[::1]"), allow_private=True)["status"] == 200


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "[fd00::1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]",
                                  "[fe80::1%25lo]", "255.255.255.255"])
def test_no_packet_goes_to_a_private_address(probe, host):
    started = time.monotonic()
    assert probe.ask(f"http://{host}/")["error"] == "permission_denied"
    assert time.monotonic() - started < 2  # nobody waits for an answer


def test_a_network_that_the_operator_allows():
    with HttpServer(host="0.0.0.0") as server, Probe() as probe:
        assert probe.ask(local(server, host="127.0.0.2"), allowed=["127.0.0.2"])["status"] == 200
        assert probe.ask(local(server, host="127.0.0.3"), allowed=["127.0.0.2"])["error"] == "permission_denied"
        assert server.connections == 1


def test_a_name_is_judged_by_its_address():
    """A name server that a stranger controls may say anything."""
    with HttpServer(host="0.0.0.0") as server:
        with Probe("", f"evil.example:{server.port}:127.0.0.1") as probe:
            assert probe.ask(local(server, host="evil.example"))["error"] == "permission_denied"
            assert probe.ask(local(server, host="evil.example"), allowed=["10.0.0.0/8"])["error"] == "permission_denied"
        assert server.connections == 0
        # Of several addresses the allowed one is used.
        with Probe("", f"mixed.example:{server.port}:127.0.0.1,127.0.0.2") as probe:
            assert probe.ask(local(server, host="mixed.example"), allowed=["127.0.0.2"])["status"] == 200
        assert server.connections == 1


def test_a_kept_connection_is_judged_again(probe):
    with HttpServer() as server:
        assert probe.ask(local(server), allow_private=True)["status"] == 200
        assert probe.ask(local(server))["error"] == "permission_denied"
        assert len(server.requests) == 1
        assert probe.ask(local(server), allowed=["127.0.0.0/8"])["status"] == 200


def test_an_environment_with_a_proxy_changes_nothing(monkeypatch):
    with HttpServer() as proxy, HttpServer() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, local(proxy))
        with Probe() as probe:
            assert probe.ask(local(server), allow_private=True)["status"] == 200
            assert probe.ask("http://10.0.0.1/")["error"] == "permission_denied"
        assert (proxy.connections, server.connections) == (0, 1)


# Connections.

def test_a_connection_is_used_again(probe):
    with HttpServer() as server:
        for _ in range(20):
            assert probe.ask(local(server), method="POST", body="x", allow_private=True)["status"] == 200
        assert (server.connections, len(server.requests)) == (1, 20)


def test_connections_to_several_servers_are_kept(probe):
    with HttpServer() as one, HttpServer() as other:
        for _ in range(5):
            assert probe.ask(local(one), allow_private=True)["status"] == 200
            assert probe.ask(local(other), allow_private=True)["status"] == 200
        assert (one.connections, other.connections) == (1, 1)


def test_a_connection_that_died_meanwhile_is_replaced(probe):
    def talk(connection, _):
        read_request(connection.makefile("rb"))
        connection.sendall(answer(b"once"))
    with Server(talk) as server:
        for _ in range(3):
            assert probe.ask(local(server), method="POST", body="x", allow_private=True)["body"] == "once"
        assert server.connections == 3


def test_sixteen_requests_at_once(probe):
    """… and the seventeenth waits for one of them."""
    gate = threading.Barrier(16)

    def reply(*_):
        gate.wait(5)
        return answer(b"ok")
    with HttpServer(reply) as server:
        got = probe.ask_all([{"url": local(server), "allow_private": True}] * 32)
        assert [one.get("status") for one in got] == [200] * 32
        assert server.connections == 16


# Time and size.

def test_a_server_that_never_answers(probe):
    with Server(lambda connection, _: server.over.wait(10)) as server:
        started = time.monotonic()
        got = probe.ask(local(server), timeout_ms=300, allow_private=True)
        assert got["error"] == "deadline_exceeded" and "300 ms" in got["message"]
        assert 0.25 < time.monotonic() - started < 2


def test_a_server_that_trickles(probe):
    def talk(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.over.wait(0.05):
            connection.sendall(b"x")
    with Server(talk) as server:
        started = time.monotonic()
        assert probe.ask(local(server), timeout_ms=500, allow_private=True)["error"] == "deadline_exceeded"
        assert time.monotonic() - started < 2.5


def test_a_server_that_does_not_read(probe):
    with Server(lambda connection, _: server.over.wait(10)) as server:
        assert probe.ask(local(server), method="POST", body="x" * 20_000_000, timeout_ms=500, allow_private=True)["error"] == "deadline_exceeded"


def test_a_server_that_does_not_accept(probe):
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    waiting = []
    for _ in range(3):  # until the queue is full
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        waiting.append(one)
    assert probe.ask(f"http://127.0.0.1:{port}/", timeout_ms=500, allow_private=True)["error"] == "deadline_exceeded"
    for one in [*waiting, full]:
        one.close()


def test_waiting_for_a_thread_counts(probe):
    with Server(lambda connection, _: server.over.wait(10)) as server:
        url = local(server)
        started = time.monotonic()
        # The last four, for which there is no thread, are over while the others are not.
        got = probe.ask_all([{"url": url, "timeout_ms": 900, "allow_private": True}] * 16 +
                            [{"url": url, "timeout_ms": 300, "allow_private": True}] * 4)
        assert {one["error"] for one in got} == {"deadline_exceeded"}
        assert sum("could begin" in one["message"] for one in got) == 4
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("size,limit,fits", [(0, 0, True), (1, 0, False), (1000, 1000, True), (1001, 1000, False), (300_000, 200_000, False)])
@pytest.mark.parametrize("announced", [True, False])
def test_the_limit_of_a_body(probe, size, limit, fits, announced):
    def talk(connection, _):
        read_request(connection.makefile("rb"))
        connection.sendall(answer(b"x" * size) if announced else b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size)
    with Server(talk) as server:
        got = probe.ask(local(server), max_answer_bytes=limit, allow_private=True)
        assert got.get("too_large", False) is not fits
        assert not fits or len(got["body"]) == size
        cut = probe.ask(local(server), max_answer_bytes=limit, cut_answer=True, allow_private=True)
        assert (cut["status"], len(cut["body"]), cut["cut"]) == (200, min(size, limit), not fits)


def test_an_endless_body_is_cut(probe):
    def talk(connection, _):
        connection.sendall(b"HTTP/1.1 418 I'm a teapot\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not server.over.is_set():
            connection.sendall(b"400\r\n" + b"x" * 0x400 + b"\r\n")
    with Server(talk) as server:
        got = probe.ask(local(server), max_answer_bytes=10_000, cut_answer=True, allow_private=True)
        assert (got["status"], len(got["body"]), got["cut"]) == (418, 10_000, True)


@pytest.mark.parametrize("piece", [b"X: " + b"y" * 1000 + b"\r\n", b"X:\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 10])
def test_an_endless_head(probe, piece):
    def talk(connection, _):
        if not piece.startswith(b"HTTP"):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not server.over.is_set():
            connection.sendall(piece)
    with Server(talk) as server:
        got = probe.ask(local(server), timeout_ms=5000, allow_private=True)
        assert got.get("too_large") or got["error"] == "unavailable", got
        assert got["error"] != "deadline_exceeded"


@pytest.mark.parametrize("bytes_", [b"", b"no HTTP at all\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b"HTTP/1.1\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_no_whole_answer(probe, bytes_):
    def talk(connection, _):
        read_request(connection.makefile("rb"))
        connection.sendall(bytes_)
    with Server(talk) as server:
        got = probe.ask(local(server, "/token-in-the-path"), allow_private=True)
        assert got["error"] == "unavailable" and "token" not in got["message"]


def test_nobody_listens(probe):
    with HttpServer() as server:
        port = server.port
    got = probe.ask(f"http://127.0.0.1:{port}/", allow_private=True)
    assert got["error"] == "unavailable" and "refused" in got["message"]


def test_no_such_host(probe):
    assert probe.ask("http://nothing.invalid/")["error"] == "unavailable"


def test_stopping_ends_what_is_under_way():
    with Server(lambda connection, _: server.over.wait(20)) as server, Probe() as probe:
        started = time.monotonic()
        got = probe.ask(stop_after_ms=200, url=local(server), timeout_ms=15_000, allow_private=True)
        assert got["error"] == "canceled"
        assert time.monotonic() - started < 4
        assert probe.ask(local(server), allow_private=True)["error"] == "canceled"


# TLS.

def secure(server, host="localhost"):
    return f"https://{host}:{server.port}/"


def test_a_server_with_a_trusted_certificate(authority):
    with HttpServer(tls=authority.server) as server, Probe(authority.file) as probe:
        for _ in range(3):
            assert probe.ask(secure(server), allow_private=True)["status"] == 200
        assert server.connections == 1
        assert probe.ask(secure(server, "127.0.0.1"), allow_private=True)["status"] == 200
        assert probe.ask(secure(server))["error"] == "permission_denied"


def test_an_unknown_authority_is_not_trusted(authority):
    with HttpServer(tls=authority.server) as server, Probe() as probe:  # the machine's own
        got = probe.ask(secure(server), allow_private=True)
        assert got["error"] == "unavailable" and ("not trusted" in got["message"] or "no file of certificate" in got["message"])
        assert not server.requests


def test_a_certificate_for_another_host_is_not_trusted(authority):
    with HttpServer(tls=authority.server) as server, Probe(authority.file, f"other.example:{server.port}:127.0.0.1") as probe:
        got = probe.ask(secure(server, "other.example"), allow_private=True)
        assert got["error"] == "unavailable" and "not trusted" in got["message"]
        assert not server.requests


def test_an_expired_certificate_is_not_trusted(tmp_path):
    expired = Authority(str(tmp_path), days=-1)
    with HttpServer(tls=expired.server) as server, Probe(expired.file) as probe:
        got = probe.ask(secure(server), allow_private=True)
        assert got["error"] == "unavailable" and "not trusted" in got["message"]


def test_no_tls_where_it_is_expected(authority):
    with Server(lambda connection, _: connection.sendall(b"220 mail\r\n")) as server, Probe(authority.file) as probe:
        got = probe.ask(secure(server), allow_private=True)
        assert got["error"] == "unavailable" and "no TLS connection" in got["message"]


def test_a_missing_file_of_authorities(authority):
    with HttpServer(tls=authority.server) as server, Probe("/nonexistent/ca.pem") as probe:
        got = probe.ask(secure(server), allow_private=True)
        assert got["error"] == "unavailable" and "authorities" in got["message"]
