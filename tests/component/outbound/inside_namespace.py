"""Run by test_names.py in a network of its own, where 8.8.4.4 is this machine and the name server is NameServer below."""

import os
import socket
import struct
import threading
import time

import pytest

from servers import HttpServer, Probe, answer

PUBLIC, LOOPBACK = "8.8.4.4", "127.0.0.1"


class NameServer:
    """Answers for IPv4 out of `names`: name → lists of addresses, the next for each query, the last for all later ones.
    No list: it never answers."""

    def __init__(self):
        self.names = {}
        self.queries = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, client = self.socket.recvfrom(512)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind = struct.unpack("!H", query[at + 1:at + 3])[0]
            name = ".".join(labels).lower()
            answers = self.names.get(name)
            if answers is not None and not answers:
                continue
            addresses = []
            if kind == 1 and answers:  # A
                self.queries.append(name)
                addresses = answers.pop(0) if len(answers) > 1 else answers[0]
            code = 0 if answers else 3  # NXDOMAIN
            reply = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0) + query[12:at + 5]
            for address in addresses:
                reply += struct.pack("!HHHIH", 0xc00c, 1, 1, 0, 4) + socket.inet_aton(address)
            self.socket.sendto(reply, client)


@pytest.fixture(scope="module")
def names():
    return NameServer()


@pytest.fixture
def servers():
    """One that the world may see and one that it may not, on the same port."""
    with HttpServer(lambda *_: answer(b"public", fields=["Connection: close"]), host=PUBLIC) as public:
        with HttpServer(lambda *_: answer(b"secret"), host=LOOPBACK, port=public.port) as hidden:
            yield public, hidden


def test_a_public_address_needs_no_permission(names, servers, probe):
    public, hidden = servers
    names.names["good.example"] = [[PUBLIC]]
    for host in (PUBLIC, "good.example", "GOOD.example."):
        assert probe.ask(f"http://{host}:{public.port}/")["body"] == "public"
    assert hidden.connections == 0


def test_a_name_that_changes_its_mind(names, servers):
    """Whatever is looked up when, and whoever looks twice."""
    public, hidden = servers
    outcomes = set()
    for first in ([PUBLIC], [LOOPBACK]):
        second = [LOOPBACK] if first == [PUBLIC] else [PUBLIC]
        with Probe() as probe:
            for number in range(10):
                name = f"flip{number}.example"
                names.names[name] = [first, second] * 10
                for _ in range(2):
                    got = probe.ask(f"http://{name}:{public.port}/")
                    outcomes.add(got.get("body") or got["error"])
    assert outcomes == {"public", "permission_denied"}
    assert hidden.connections == 0


@pytest.mark.parametrize("addresses", [[LOOPBACK, PUBLIC], [PUBLIC, LOOPBACK], ["10.0.0.1", LOOPBACK, "192.168.0.1", PUBLIC]])
def test_a_name_with_both_kinds_of_addresses(names, servers, probe, addresses):
    public, hidden = servers
    names.names["both.example"] = [addresses]
    for _ in range(5):
        assert probe.ask(f"http://both.example:{public.port}/")["body"] == "public"
    assert hidden.connections == 0


def test_a_public_name_of_a_private_address(names, servers, probe):
    _, hidden = servers
    for address in (LOOPBACK, "127.0.0.2", "0.0.0.0", "10.0.0.1", "169.254.169.254"):
        names.names["inner.example"] = [[address]]
        with Probe() as fresh:
            assert fresh.ask(f"http://inner.example:{hidden.port}/")["error"] == "permission_denied"
    assert hidden.connections == 0


def test_a_name_server_that_never_answers(names, probe):
    names.names["silent.example"] = []
    started = time.monotonic()
    assert probe.ask("http://silent.example/", timeout_ms=400)["error"] == "deadline_exceeded"
    assert time.monotonic() - started < 2
    # … and it does not keep the others waiting.
    got = probe.ask_all([{"url": "http://silent.example/", "timeout_ms": 600}] * 32)
    assert {one["error"] for one in got} == {"deadline_exceeded"}
    assert time.monotonic() - started < 5


def test_no_such_name(names, probe):
    got = probe.ask("http://nobody.example/")
    assert got["error"] == "unavailable" and "cannot be resolved" in got["message"]


def test_the_name_server_is_the_one_of_this_file(names):
    names.names["here.example"] = [[PUBLIC]]
    assert socket.gethostbyname("here.example") == PUBLIC and os.geteuid() == 0
