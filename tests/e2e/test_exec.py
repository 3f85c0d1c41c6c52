"""Code runs, and what it says comes back whole."""

import base64
import hashlib
import time

from sockets import Session, output
from wrenn_platform import SLOWNESS


def test_shell_and_python(capsule):
    result = capsule.shell("echo hello; echo oops >&2; exit 3")
    assert (result["stdout"], result["stderr"], result["exit_code"]) == ("hello\n", "oops\n", 3)
    result = capsule.exec("python3", "-c", "print(sum(range(101)))")
    assert (result["stdout"], result["exit_code"]) == ("5050\n", 0)
    assert result["encoding"] == "utf-8" and result["duration_ms"] >= 0


def test_arguments_environment_and_directory(capsule):
    result = capsule.exec("/bin/sh", "-c", 'printf "%s|" "$@"; echo "$GREETING $PWD"', "sh", "a b", "$(id)", "é",
                          envs={"GREETING": "hi there"}, cwd="/tmp")
    assert result["stdout"] == "a b|$(id)|é|hi there /tmp\n"
    result = capsule.shell("pwd; id -un")
    assert result["stdout"] == "/root\nroot\n"
    answer = capsule.call("POST", "/exec", {"cmd": "true", "cwd": "/nowhere"})
    assert answer.error()[:2] == (400, "invalid_request") and "/nowhere" in answer.error()[2]


def test_missing_command_is_127(capsule):
    result = capsule.exec("no-such-program")
    assert result["exit_code"] == 127 and "no-such-program" in result["stderr"]


def test_binary_output(capsule):
    result = capsule.exec("python3", "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)))")
    assert result["encoding"] == "base64"
    assert base64.b64decode(result["stdout"]) == bytes(range(256))


def test_big_output_is_whole(capsule):
    done = capsule.platform.cli("capsule", "exec", capsule.id, "--", "python3", "-c",
                                "import sys\nfor i in range(20000): sys.stdout.buffer.write((b'%08d' % i) * 64)", binary=True)
    assert done.returncode == 0, done.stderr
    expected = b"".join((b"%08d" % i) * 64 for i in range(20000))
    assert hashlib.sha256(done.stdout).hexdigest() == hashlib.sha256(expected).hexdigest()


def test_a_process_that_ends_at_once_loses_nothing(capsule):
    for number in range(100):
        result = capsule.shell(f"echo {number}")
        assert (result["stdout"], result["exit_code"]) == (f"{number}\n", 0)


def test_timeout_ends_the_command(capsule):
    start = time.monotonic()
    answer = capsule.call("POST", "/exec", {"cmd": "sleep", "args": ["60"], "timeout_sec": 1})
    assert answer.error()[:2] == (502, "agent_error")
    assert time.monotonic() - start < 30
    assert "sleep" not in capsule.shell("ps -eo args | grep '^sleep' || true")["stdout"]


def test_exec_stream(capsule):
    with Session(capsule, "/exec/stream") as session:
        session.send(type="start", cmd="/bin/sh", args=["-c", "echo one; sleep 0.2; echo two >&2; exit 7"])
        messages = session.until("exit", "error")
        assert messages[0]["type"] == "start" and messages[0]["pid"] > 0
        assert [m["data"] for m in messages if m["type"] == "stdout"] == ["one\n"]
        assert [m["data"] for m in messages if m["type"] == "stderr"] == ["two\n"]
        assert messages[-1] == {"type": "exit", "exit_code": 7}


def test_utf8_is_not_split_in_streams(capsule):
    script = "import sys,time\nfor b in 'grüße 漢字 🦩'.encode(): sys.stdout.buffer.write(bytes([b])); sys.stdout.flush(); time.sleep(0.005)"
    with Session(capsule, "/exec/stream") as session:
        session.send(type="start", cmd="python3", args=["-c", script])
        messages = session.until("exit", "error")
    assert "".join(m["data"] for m in messages if m["type"] == "stdout") == "grüße 漢字 🦩"


def test_stdin_through_the_cli(capsule):
    data = bytes(range(256)) * 4096
    done = capsule.platform.cli("capsule", "exec", "-i", capsule.id, "--", "cat", stdin=data, binary=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == data


def test_background_process(capsule):
    answer = capsule.call("POST", "/exec", {"cmd": "/bin/sh", "args": ["-c", "while [ ! -e /tmp/go ]; do sleep 0.1; done; echo done; exit 5"], "background": True})
    assert answer.status == 202, answer
    started = answer.json()
    assert started["tag"].startswith("proc-") and started["pid"] > 0
    listed = capsule.call("GET", "/processes").json()["processes"]
    assert [(p["pid"], p["tag"]) for p in listed] == [(started["pid"], started["tag"])]
    with Session(capsule, f"/processes/{started['tag']}/stream") as session:
        assert session.until("start") == [{"type": "start", "pid": started["pid"]}]
        capsule.shell("touch /tmp/go")
        messages = session.until("exit", "error")
    assert messages[-1] == {"type": "exit", "exit_code": 5}
    assert "".join(m["data"] for m in messages if m["type"] == "stdout") == "done\n"
    # Connecting once more after the end still tells the end.
    with Session(capsule, f"/processes/{started['pid']}/stream") as session:
        assert session.until("exit", "error")[-1] == {"type": "exit", "exit_code": 5}


def test_kill_by_pid_and_tag(capsule):
    for selector in ("pid", "tag"):
        started = capsule.call("POST", "/exec", {"cmd": "sleep", "args": ["100"], "background": True}).json()
        answer = capsule.call("DELETE", f"/processes/{started[selector]}")
        assert answer.status == 204, answer
        deadline = time.monotonic() + 10 * SLOWNESS
        while capsule.call("GET", "/processes").json()["processes"]:
            assert time.monotonic() < deadline, "the killed process is still listed"
            time.sleep(0.05)
    assert capsule.call("DELETE", "/processes/4194000").error()[:2] == (404, "not_found")


def test_pty_resize_and_reconnect(capsule):
    with Session(capsule, "/pty") as session:
        session.send(type="start", cmd="/bin/sh", cols=80, rows=24, envs={"PS1": "", "TERM": "dumb"})
        started = session.until("started")[-1]
        assert started["tag"].startswith("pty-")
        session.send(type="input", data=base64.b64encode(b"stty size; tty\n").decode())
        seen = b""
        while b"24 80" not in seen or b"/dev/pts/" not in seen:
            seen += output(session.until("output"))
        session.send(type="resize", cols=132, rows=50)
        session.send(type="input", data=base64.b64encode(b"stty size\n").decode())
        while b"50 132" not in seen:
            seen += output(session.until("output"))
    with Session(capsule, "/pty") as session:
        session.send(type="connect", tag=started["tag"])
        session.send(type="input", data=base64.b64encode(b"echo still-$((40+2))\n").decode())
        seen = b""
        while b"still-42" not in seen:
            seen += output(session.until("output"))
        session.send(type="input", data=base64.b64encode(b"exit 9\n").decode())
        assert session.until("exit")[-1]["exit_code"] == 9


def test_pty_kill(capsule):
    with Session(capsule, "/pty") as session:
        session.send(type="start", cmd="/bin/sh")
        session.until("started")
        session.send(type="kill")
        assert session.until("exit", "error")[-1]["type"] == "exit"


def test_user(capsule):
    with Session(capsule, "/exec/stream") as session:
        session.send(type="start", cmd="/bin/sh", args=["-c", "id -un; id -Gn; sudo -n id -un; echo $HOME"], user="wrenn-user")
        messages = session.until("exit", "error")
    text = "".join(m["data"] for m in messages if m["type"] == "stdout").splitlines()
    assert text[0] == "wrenn-user" and "root" not in text[1].split() and text[2:] == ["root", "/home/wrenn-user"]


def test_authentication_of_streams(capsule):
    with Session(capsule, "/exec/stream", header_key=False) as session:
        session.send(type="auth", token="wrn_" + "0" * 32)
        assert session.receive() == {"type": "error", "data": "authentication failed"}
