"""Commands: answered at the end, in the background, and as streams."""
import base64
import threading
import time

import pytest
from fake_agent import data, end, start
from waiting import in_background
from websocket import Closed


@pytest.fixture(scope="module")
def capsule(shared):
    return shared.create()


@pytest.fixture
def guest(shared):
    shared.agent.guest.scripts.clear()
    shared.agent.guest.requests.clear()
    shared.agent.guest.wait.clear()
    return shared.agent.guest


def run(shared, capsule, **fields):
    return shared.post(f"/v1/capsules/{capsule}/exec", {"cmd": "x", **fields})


class TestForeground:
    def test_output_and_code(self, shared, capsule, guest):
        guest.scripts["x"] = [start(7), data("stdout", b"a"), data("stderr", b"e\n"), data("stdout", "ü".encode()), end(3)]
        answer = run(shared, capsule)
        assert answer.status == 200
        result = answer.json
        assert result.pop("duration_ms") >= 0
        assert result == {"sandbox_id": capsule, "cmd": "x", "stdout": "aü", "stderr": "e\n", "exit_code": 3,
                          "encoding": "utf-8"}

    def test_what_the_guest_is_told(self, shared, capsule, guest):
        run(shared, capsule, args=["-c", "a b"], envs={"K": "v=1"}, cwd="/tmp", user="wrenn-user")
        method, request, user = guest.requests[0]
        assert method.endswith("/Start")
        assert request["process"] == {"cmd": "x", "args": ["-c", "a b"], "envs": {"K": "v=1"}, "cwd": "/tmp"}
        assert request["stdin"] is False
        assert user == "wrenn-user"
        guest.requests.clear()
        run(shared, capsule)
        _, request, user = guest.requests[0]
        assert request["process"] == {"cmd": "x"}
        assert user is None

    def test_binary_makes_both_base64(self, shared, capsule, guest):
        guest.scripts["x"] = [start(7), data("stdout", b"\xff\x00"), data("stderr", b"text"), end(0)]
        result = run(shared, capsule).json
        assert result["encoding"] == "base64"
        assert base64.b64decode(result["stdout"]) == b"\xff\x00"
        assert base64.b64decode(result["stderr"]) == b"text"

    def test_no_end_is_an_error(self, shared, capsule, guest):
        for script in ([start(7), data("stdout", b"half")], [start(7), ("break",)], [("break",)]):
            guest.scripts["x"] = script
            answer = run(shared, capsule)
            assert answer.status in (502, 503), answer.body
            assert answer.code in ("agent_error", "host_unavailable")

    def test_the_guest_refuses(self, shared, capsule, guest):
        guest.scripts["x"] = [("error", "not_found", "executable file not found in PATH")]
        answer = run(shared, capsule)
        assert (answer.status, answer.code) == (404, "not_found")
        assert "executable" in answer.message
        guest.scripts["x"] = [("error", "invalid_argument", "cwd does not exist")]
        assert run(shared, capsule).status == 400

    def test_too_long(self, shared, capsule, guest):
        guest.scripts["x"] = [start(7), ("sleep", 1.1), end(-1, "signal: killed")]
        answer = run(shared, capsule, timeout_sec=1)
        assert (answer.status, answer.code) == (502, "agent_error")
        assert "1 s" in answer.message
        guest.scripts["x"] = [start(7), ("sleep", 1.1), ("error", "deadline_exceeded", "timeout")]
        assert "1 s" in run(shared, capsule, timeout_sec=1).message

    def test_a_deadline_that_was_not_the_commands(self, shared, capsule, guest):
        guest.scripts["x"] = [("error", "deadline_exceeded", "no answer from the guest")]
        answer = run(shared, capsule, timeout_sec=30)
        assert answer.status >= 500
        assert "was killed" not in answer.message, answer.message

    def test_killed_by_somebody_else(self, shared, capsule, guest):
        guest.scripts["x"] = [start(7), end(-1, "signal: killed")]
        answer = run(shared, capsule)
        assert (answer.status, answer.json["exit_code"]) == (200, -1)

    def test_too_much_output(self, shared, capsule, guest):
        guest.scripts["x"] = [start(7)] + [data("stdout", b"x" * 1_000_000)] * 20 + [end(0)]
        answer = run(shared, capsule)
        assert (answer.status, answer.code) == (413, "too_large")
        assert any(method.endswith("SendSignal") for method, _, _ in guest.requests)

    def test_too_much_output_of_many(self, shared, capsule, guest):
        """Nine would hold more than a team may. Who is killed lets the others end."""
        piece = data("stdout", b"x" * 1_000_000)

        def command(name):
            guest.scripts[name] = [start(7)] + [piece] * 16 + [("wait",), end(0)]
            guest.wait[name] = threading.Event()
            return in_background(lambda: shared.post(f"/v1/capsules/{capsule}/exec", {"cmd": name}))
        answers = [wait(60) for wait in [command(f"x{n}") for n in range(9)]]
        refused = [answer for answer in answers if answer.status != 200]
        assert refused and len(refused) < 9
        for answer in refused:
            assert (answer.status, answer.code) == (413, "too_large") and "beside" in answer.message
        # What they held is given back.
        again = command("again")
        guest.wait["again"].set()
        assert again().status == 200

    def test_the_client_goes_away(self, shared, capsule, guest):
        guest.wait["x"] = threading.Event()
        guest.scripts["x"] = [start(7), ("wait",), end(0)]
        with pytest.raises(OSError):
            shared.post(f"/v1/capsules/{capsule}/exec", {"cmd": "x"}, timeout=0.2)
        guest.wait["x"].set()
        time.sleep(0.1)
        guest.scripts.clear()
        assert run(shared, capsule).status == 200


class TestBackground:
    def test_pid_and_tag(self, shared, capsule, guest):
        guest.scripts["x"] = [start(77), ("sleep", 0.5), end(0)]
        answer = run(shared, capsule, background=True, tag="mine")
        assert (answer.status, answer.json) == (202, {"sandbox_id": capsule, "cmd": "x", "pid": 77, "tag": "mine"})
        assert guest.requests[0][1]["tag"] == "mine"

    def test_a_tag_is_made_up(self, shared, capsule, guest):
        answer = run(shared, capsule, background=True)
        assert answer.json["tag"].startswith("proc-") and len(answer.json["tag"]) == 13

    def test_it_does_not_start(self, shared, capsule, guest):
        guest.scripts["x"] = [("error", "not_found", "no such executable")]
        assert run(shared, capsule, background=True).status == 404
        guest.scripts["x"] = [("break",)]
        assert run(shared, capsule, background=True).status == 503


class TestProcesses:
    def test_list(self, shared, capsule, guest):
        answer = shared.get(f"/v1/capsules/{capsule}/processes")
        assert answer.json == {"processes": [{"pid": 7, "tag": "proc-1", "cmd": "sleep", "args": ["9"]},
                                             {"pid": 8, "cmd": "init"}]}

    @pytest.mark.parametrize("selector,query,process,signal", [
        ("42", "", {"pid": 42}, 9), ("42", "?signal=SIGTERM", {"pid": 42}, 15), ("proc-1", "?signal=SIGKILL", {"tag": "proc-1"}, 9),
        ("a%20b", "?signal=whatever", {"tag": "a b"}, 9)])
    def test_kill(self, shared, capsule, guest, selector, query, process, signal):
        assert shared.delete(f"/v1/capsules/{capsule}/processes/{selector}{query}").status == 204
        assert guest.requests[0][1] == {"process": process, "signal": signal}

    def test_kill_nobody(self, shared, capsule, guest):
        for selector in ("404", "unknown"):
            answer = shared.delete(f"/v1/capsules/{capsule}/processes/{selector}")
            assert (answer.status, answer.code) == (404, "not_found")


class TestStream:
    def open(self, shared, capsule, **fields):
        socket = shared.socket(f"/v1/capsules/{capsule}/exec/stream")
        socket.send({"type": "start", "cmd": "x", **fields})
        return socket

    def test_output_as_it_comes(self, shared, capsule, guest):
        guest.scripts["x"] = [start(7), data("stdout", b"one\n"), data("stderr", b"two\n"), end(0)]
        assert self.open(shared, capsule).all() == [
            {"type": "start", "pid": 7}, {"type": "stdout", "data": "one\n"}, {"type": "stderr", "data": "two\n"},
            {"type": "exit", "exit_code": 0}]

    def test_code_points_stay_whole(self, shared, capsule, guest):
        text = "€😀x".encode()
        guest.scripts["x"] = [start(7)] + [data("stdout", text[i:i + 1]) for i in range(len(text))] + [
            data("stderr", b"\xe2\x82"), end(0)]
        messages = self.open(shared, capsule).all()
        assert "".join(m["data"] for m in messages if m["type"] == "stdout") == "€😀x"
        assert [m["data"] for m in messages if m["type"] == "stderr"] == ["\ufffd"]

    def test_exact_bytes(self, shared, capsule, guest):
        content = bytes(range(256))
        guest.scripts["x"] = [start(7), data("stdout", content[:100]), data("stdout", content[100:]), end(0)]
        messages = self.open(shared, capsule, encoding="base64").all()
        assert b"".join(base64.b64decode(m["data"]) for m in messages if m["type"] == "stdout") == content

    def test_a_signal_ended_it(self, shared, capsule, guest):
        guest.scripts["x"] = [start(7), end(-1, "signal: killed")]
        assert self.open(shared, capsule).all()[-1] == {"type": "exit", "exit_code": -1, "signal": 9}

    def test_input(self, shared, capsule, guest):
        guest.wait["x"] = threading.Event()
        guest.scripts["x"] = [start(7), ("wait",), end(0)]
        socket = self.open(shared, capsule, stdin=True, envs={"A": "b"}, cwd="/tmp", user="u")
        assert socket.receive()["pid"] == 7
        socket.send({"type": "stdin", "data": base64.b64encode(b"in").decode()})
        socket.send({"type": "stdin_close"})
        socket.send({"type": "stdin", "data": "YQ=="})  # after the end: dropped
        socket.send({"type": "unknown to us"})
        socket.send({"type": "signal", "signal": "SIGINT"})  # the guest knows two: TERM stands in
        assert socket.all()[-1]["type"] == "exit"
        calls = [(method.split("/")[-1], request, user) for method, request, user in guest.requests]
        assert calls[0][1]["stdin"] is True and calls[0][2] == "u"
        assert [name for name, _, _ in calls[1:4]] == ["SendInput", "CloseStdin", "SendSignal"]
        assert calls[1][1] == {"process": {"pid": 7}, "input": {"stdin": base64.b64encode(b"in").decode()}}
        assert calls[-1][1]["signal"] == 15

    @pytest.mark.parametrize("script", [[start(7), data("stdout", b"x")], [start(7), ("break",)], [("break",)],
                                        [("error", "internal", "oh")]])
    def test_no_end_is_an_error(self, shared, capsule, guest, script):
        guest.scripts["x"] = script
        messages = self.open(shared, capsule).all()
        assert messages[-1]["type"] == "error" and messages[-1]["data"]
        assert "exit" not in [m["type"] for m in messages]

    @pytest.mark.parametrize("first", [{"type": "start"}, {"type": "start", "cmd": ""}, {"type": "stop"},
                                       {"type": "start", "cmd": 7}, {"type": "start", "cmd": "x", "encoding": "rot13"},
                                       "{", "[]", {"type": "start", "cmd": "x\0"}])
    def test_bad_first_message(self, shared, capsule, guest, first):
        socket = shared.socket(f"/v1/capsules/{capsule}/exec/stream")
        socket.send(first if isinstance(first, str) else first)
        messages = socket.all()
        assert len(messages) == 1 and messages[0]["type"] == "error", messages
        assert not guest.requests

    def test_stop(self, shared, capsule, guest):
        guest.wait["x"] = threading.Event()
        guest.scripts["x"] = [start(7), ("wait",), end(0)]
        socket = self.open(shared, capsule)
        assert socket.receive()["type"] == "start"
        socket.send({"type": "stop"})
        assert socket.all() == []
        assert not [method for method, _, _ in guest.requests if method.endswith("SendSignal")]
        guest.wait["x"].set()

    def test_the_client_drops(self, shared, capsule, guest):
        guest.wait["x"] = threading.Event()
        guest.scripts["x"] = [start(7), ("wait",), end(0)]
        for _ in range(10):
            socket = self.open(shared, capsule)
            socket.receive()
            socket.drop()
        guest.wait["x"].set()
        assert shared.get("/health").status == 200

    def test_not_running(self, shared, guest):
        capsule = shared.create()
        shared.post(f"/v1/capsules/{capsule}/pause")
        messages = self.open(shared, capsule).all()
        assert messages == [{"type": "error", "data": "sandbox is not running (status: paused)"}]

    def test_activity_is_noted(self, shared, capsule, guest):
        before = shared.row(capsule)["last_active_at"]
        self.open(shared, capsule).all()
        deadline = time.monotonic() + 5
        while shared.row(capsule)["last_active_at"] == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)


class TestConnect:
    def test_follow_by_tag_and_pid(self, shared, capsule, guest):
        for selector in ("proc-1", "77"):
            guest.scripts[selector] = [start(77), data("stdout", b"now"), end(5)]
            socket = shared.socket(f"/v1/capsules/{capsule}/processes/{selector}/stream")
            assert socket.all() == [{"type": "start", "pid": 77}, {"type": "stdout", "data": "now"},
                                    {"type": "exit", "exit_code": 5}]

    def test_nobody(self, shared, capsule, guest):
        socket = shared.socket(f"/v1/capsules/{capsule}/processes/nobody/stream")
        messages = socket.all()
        assert len(messages) == 1 and messages[0]["type"] == "error"

    def test_what_the_client_says_is_ignored(self, shared, capsule, guest):
        guest.scripts["t"] = [start(77), ("sleep", 0.3), end(0)]
        socket = shared.socket(f"/v1/capsules/{capsule}/processes/t/stream")
        socket.send({"type": "stdin", "data": "eA=="})
        assert socket.all()[-1] == {"type": "exit", "exit_code": 0}
        assert len(guest.requests) == 1


class TestPty:
    def open(self, shared, capsule, **fields):
        socket = shared.socket(f"/v1/capsules/{capsule}/pty")
        socket.send({"type": "start", **fields})
        return socket

    def test_a_shell(self, shared, capsule, guest):
        guest.scripts["/bin/bash"] = [start(9), data("pty", b"\xff$ "), end(0)]
        messages = self.open(shared, capsule).all()
        tag = messages[0]["tag"]
        assert tag.startswith("pty-") and len(tag) == 12
        assert messages == [{"type": "started", "tag": tag, "pid": 9},
                            {"type": "output", "data": base64.b64encode(b"\xff$ ").decode()},
                            {"type": "exit", "exit_code": 0}]
        request = guest.requests[0][1]
        assert request["pty"] == {"size": {"cols": 80, "rows": 24}}
        assert request["tag"] == tag

    def test_its_own_command(self, shared, capsule, guest):
        guest.scripts["top"] = [start(9), end(0)]
        self.open(shared, capsule, cmd="top", args=["-b"], cols=120, rows=40, envs={"A": "b"}, cwd="/", user="u").all()
        _, request, user = guest.requests[0]
        assert request["process"] == {"cmd": "top", "args": ["-b"], "envs": {"A": "b"}, "cwd": "/"}
        assert request["pty"] == {"size": {"cols": 120, "rows": 40}}
        assert user == "u"

    def test_what_the_client_does_comes_in_order(self, shared, capsule, guest):
        guest.wait["/bin/bash"] = threading.Event()
        guest.scripts["/bin/bash"] = [start(9), ("wait",), end(0)]
        socket = self.open(shared, capsule)
        tag = socket.receive()["tag"]
        for key in "abc":
            socket.send({"type": "input", "data": base64.b64encode(key.encode()).decode()})
        socket.send({"type": "resize", "cols": 100, "rows": 50})
        socket.send({"type": "resize", "cols": 0, "rows": 50})  # ignored
        socket.send({"type": "resize", "cols": 10**6, "rows": 50})  # ignored
        socket.send({"type": "input", "data": base64.b64encode(b"d").decode()})
        socket.send({"type": "pong", "data": 7})  # ignored
        socket.send({"type": "kill"})
        assert socket.all()[-1]["type"] == "exit"
        told = ""
        for method, request, _ in guest.requests[1:]:
            assert request["process"] == {"tag": tag}
            name = method.split("/")[-1]
            if name == "SendInput":
                told += base64.b64decode(request["input"]["pty"]).decode()
            elif name == "Update":
                told += "|{cols}x{rows}|".format(**request["pty"]["size"])
            else:
                told += f"|{request['signal']}|"
        assert told == "abc|100x50|d|9|"

    def test_kill_and_close_is_carried_out(self, shared, capsule, guest):
        guest.wait["/bin/bash"] = threading.Event()
        guest.scripts["/bin/bash"] = [start(9), ("wait",), end(0)]
        for _ in range(5):
            guest.wait["/bin/bash"].clear()
            socket = self.open(shared, capsule)
            socket.receive()
            socket.send({"type": "kill"})
            socket.close()
            assert guest.wait["/bin/bash"].wait(5), "the kill was lost"

    def test_going_away_does_not_kill(self, shared, capsule, guest):
        guest.wait["/bin/bash"] = threading.Event()
        guest.scripts["/bin/bash"] = [start(9), ("wait",), end(0)]
        socket = self.open(shared, capsule)
        socket.receive()
        socket.drop()
        time.sleep(0.3)
        assert not guest.wait["/bin/bash"].is_set()
        guest.wait["/bin/bash"].set()

    def test_coming_back(self, shared, capsule, guest):
        guest.scripts["pty-12345678"] = [start(9), data("pty", b"more"), end(0)]
        socket = shared.socket(f"/v1/capsules/{capsule}/pty")
        socket.send({"type": "connect", "tag": "pty-12345678"})
        messages = socket.all()
        assert messages[0] == {"type": "started", "tag": "pty-12345678", "pid": 9}
        assert messages[-1] == {"type": "exit", "exit_code": 0}

    @pytest.mark.parametrize("first", [{"type": "connect"}, {"type": "connect", "tag": "unknown-tag"}, {"type": "input"},
                                       {"type": "start", "cmd": "missing-command"}, "nonsense"])
    def test_fatal(self, shared, capsule, guest, first):
        socket = shared.socket(f"/v1/capsules/{capsule}/pty")
        socket.send(first)
        messages = socket.all()
        assert len(messages) == 1
        assert (messages[0]["type"], messages[0]["fatal"]) == ("error", True)

    def test_input_that_is_no_base64(self, shared, capsule, guest):
        guest.wait["/bin/bash"] = threading.Event()
        guest.scripts["/bin/bash"] = [start(9), ("wait",), end(0)]
        socket = self.open(shared, capsule)
        socket.receive()
        socket.send({"type": "input", "data": "%%%"})
        assert socket.all()[-1]["type"] == "error"
        guest.wait["/bin/bash"].set()


def test_many_idle_streams(shared, capsule, guest):
    """They cost memory and nothing else: /health is as quick as before."""
    guest.wait["x"] = threading.Event()
    guest.scripts["x"] = [start(7), ("wait",), end(0)]
    sockets = []
    for _ in range(60):
        socket = shared.socket(f"/v1/capsules/{capsule}/exec/stream")
        socket.send({"type": "start", "cmd": "x"})
        sockets.append(socket)
    for socket in sockets:
        assert socket.receive()["type"] == "start"
    assert shared.get("/health").status == 200
    guest.wait["x"].set()
    for socket in sockets:
        assert socket.all()[-1] == {"type": "exit", "exit_code": 0}


def test_closed_is_what_the_server_says(shared, capsule, guest):
    guest.scripts["x"] = [start(7), end(0)]
    socket = shared.socket(f"/v1/capsules/{capsule}/exec/stream")
    socket.send({"type": "start", "cmd": "x"})
    with pytest.raises(Closed) as closed:
        while True:
            socket.receive()
    assert closed.value.args[0] == 1000
