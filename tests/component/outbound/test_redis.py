"""Entries of a stream on a real Redis server, with answers that get lost."""

import signal
import socket
import threading
import time

import pytest

from redis_server import STREAM, Redis
from servers import Server


@pytest.fixture
def redis(tmp_path):
    one = Redis(tmp_path)
    yield one
    one.stop()


def add(probe, url, number, payload=None, **more):
    return probe.ask(redis=url, stream=STREAM, id=f"{number}-0", payload=payload or f'{{"event":{number}}}', **more)


def last(probe, url, **more):
    return probe.ask(redis=url, stream=STREAM, **more)


def test_entries_are_added_once(redis, probe):
    assert last(probe, redis.url) == {"last": None}
    assert add(probe, redis.url, 1) == {"outcome": "added"}
    assert add(probe, redis.url, 2, 'line\\nbreak "é"') == {"outcome": "added"}
    assert add(probe, redis.url, 1) == {"outcome": "was_there"}
    assert add(probe, redis.url, 2, 'line\\nbreak "é"') == {"outcome": "was_there"}
    assert add(probe, redis.url, 7) == {"outcome": "added"}
    assert last(probe, redis.url) == {"last": "7-0"}
    assert redis.entries() == [("1-0", "payload", '{"event":1}'), ("2-0", "payload", 'line\\nbreak "é"'), ("7-0", "payload", '{"event":7}')]


def test_any_bytes_are_a_payload(redis, probe):
    assert add(probe, redis.url, 1, "a\r\n$5\r\n\0 b") == {"outcome": "added"}
    assert add(probe, redis.url, 1, "a\r\n$5\r\n\0 b") == {"outcome": "was_there"}


def test_entries_of_somebody_else_are_noticed(redis, probe):
    redis.cli("XADD", STREAM, "*", "payload", "theirs")
    got = add(probe, redis.url, 1)
    assert got["error"] == "failed_precondition" and STREAM in got["message"]
    redis.cli("DEL", STREAM)
    redis.cli("XADD", STREAM, "3-0", "payload", "theirs")
    assert add(probe, redis.url, 3)["error"] == "failed_precondition"
    assert add(probe, redis.url, 4) == {"outcome": "added"}


def test_the_end_is_known_though_entries_are_gone(redis, probe):
    for number in range(1, 6):
        add(probe, redis.url, number)
    redis.cli("XTRIM", STREAM, "MAXLEN", "0")
    assert last(probe, redis.url) == {"last": "5-0"}


def test_old_entries_go(redis, probe):
    for number in range(1, 1001):
        assert add(probe, redis.url, number, max=100) == {"outcome": "added"}
    kept = int(redis.cli("XLEN", STREAM))
    assert 100 <= kept < 300  # Redis removes them by the block
    assert redis.entries()[-1][0] == "1000-0"


def test_something_else_under_that_name(redis, probe):
    redis.cli("SET", STREAM, "text")
    assert add(probe, redis.url, 1)["error"] == "failed_precondition"
    assert last(probe, redis.url)["error"] == "failed_precondition"


def test_a_database_of_its_own(redis, probe):
    assert add(probe, redis.url + "/3", 1) == {"outcome": "added"}
    assert redis.entries() == [] and len(redis.entries("3")) == 1
    assert add(probe, redis.url + "/9999", 1)["error"] == "failed_precondition"


def test_passwords(tmp_path, probe):
    redis = Redis(tmp_path, "--requirepass", "p@ss/word")
    try:
        host = f"127.0.0.1:{redis.port}"
        assert add(probe, f"redis://:p%40ss%2Fword@{host}", 1) == {"outcome": "added"}
        assert add(probe, f"redis://default:p%40ss%2Fword@{host}", 2) == {"outcome": "added"}
        for url in (f"redis://{host}", f"redis://:wrong@{host}", f"redis://nobody:wrong@{host}"):
            got = add(probe, url, 3)
            assert got["error"] == "unauthenticated" and "wrong" not in got["message"]
    finally:
        redis.stop()


def test_a_restart_between_two_entries(redis, probe):
    assert add(probe, redis.url, 1) == {"outcome": "added"}
    redis.stop()
    assert add(probe, redis.url, 2)["error"] == "unavailable"
    redis.start()
    assert add(probe, redis.url, 2) == {"outcome": "added"}
    redis.stop()
    redis.start()
    assert add(probe, redis.url, 3) == {"outcome": "added"}  # over a new connection, at once
    assert [entry[0] for entry in redis.entries()] == ["1-0", "2-0", "3-0"]


def test_a_server_that_hangs(redis, probe):
    assert add(probe, redis.url, 1, timeout_ms=1500) == {"outcome": "added"}
    redis.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    assert add(probe, redis.url, 2)["error"] == "deadline_exceeded"
    assert time.monotonic() - started < 5
    redis.process.send_signal(signal.SIGCONT)
    # It may have taken the entry nevertheless.
    assert add(probe, redis.url, 2)["outcome"] in ("added", "was_there")
    assert len(redis.entries()) == 2


def relay(redis, swallow):
    """A way to the server on which the answer to the command number swallow() is lost with its connection."""
    def talk(connection, _):
        with socket.create_connection(("127.0.0.1", redis.port)) as server:
            while (request := connection.recv(65536)):
                server.sendall(request)
                answer = server.recv(65536)
                if swallow():
                    return
                connection.sendall(answer)
    return Server(talk)


def test_lost_answers_make_no_second_entry(redis, probe):
    count = 0
    lock = threading.Lock()

    def every_third():
        nonlocal count
        with lock:
            count += 1
            return count % 3 == 0
    with relay(redis, every_third) as way:
        url = f"redis://127.0.0.1:{way.port}"
        number = 1
        while number <= 30:
            got = add(probe, url, number)
            if "outcome" in got:
                number += 1
            else:
                assert got["error"] == "unavailable"
        assert way.connections > 10
    assert [entry[0] for entry in redis.entries()] == [f"{number}-0" for number in range(1, 31)]


def test_no_server(probe):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    got = add(probe, f"redis://127.0.0.1:{port}", 1)
    assert got["error"] == "unavailable" and "refused" in got["message"]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-5\r\n", b"*1000000000\r\n", b"+OK\r\n", b":1\r\n"])
def test_not_a_redis_server(probe, answer):
    def talk(connection, _):
        connection.recv(1000)
        connection.sendall(answer)
    with Server(talk) as server:
        got = last(probe, f"redis://127.0.0.1:{server.port}", timeout_ms=500)
        assert got["error"] in ("unavailable", "failed_precondition", "deadline_exceeded"), got


def test_a_server_that_never_answers(probe):
    with Server(lambda connection, _: server.over.wait(10)) as server:
        started = time.monotonic()
        got = add(probe, f"redis://127.0.0.1:{server.port}", 1, timeout_ms=300)
        assert got["error"] == "deadline_exceeded" and time.monotonic() - started < 2
