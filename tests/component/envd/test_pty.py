"""process.Process on a terminal."""

import base64
import time

import pytest

from envd import RpcError, alive, wait_until


def read_until(stream, marker, text=b"", seconds=20):
    deadline = time.monotonic() + seconds
    while marker not in text and time.monotonic() < deadline:
        event = next(stream)
        if "data" in event:
            assert list(event["data"]) == ["pty"], event
            text += base64.b64decode(event["data"]["pty"])
    assert marker in text, text
    return text


def test_size_and_resize(envd):
    stream = envd.start("/bin/sh", ["-c", "stty size; trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.1; done"],
                        pty=(100, 30))
    pid = stream.start()
    text = read_until(stream, b"ready")
    assert text.startswith(b"30 100\r\n")
    envd.call("process.Process/Update", {"process": {"pid": pid}, "pty": {"size": {"cols": 132, "rows": 50}}})
    _, _, pty, end = stream.collect()
    assert b"50 132" in pty and end["exitCode"] == 0


def test_it_is_a_controlling_terminal(envd):
    stream = envd.start("/bin/sh", ["-c", "test -t 0 && test -t 1 && test -t 2 && echo tty >/dev/tty; echo TERM=$TERM"], pty=(80, 24))
    stream.start()
    _, _, pty, end = stream.collect()
    assert pty == b"tty\r\nTERM=xterm-256color\r\n" and end["exitCode"] == 0


def test_term_is_the_requests(envd):
    stream = envd.start("/bin/sh", ["-c", "echo $TERM"], pty=(80, 24), envs={"TERM": "vt100"})
    stream.start()
    assert stream.collect()[2] == b"vt100\r\n"


def test_term_of_the_defaults(fresh):
    assert fresh.request("POST", "/init", '{"envVars":{"TERM":"screen"}}', {"Content-Type": "application/json"})[0] == 204
    stream = fresh.start("/bin/sh", ["-c", "echo $TERM"], pty=(80, 24))
    stream.start()
    assert stream.collect()[2] == b"screen\r\n"
    assert fresh.shell("echo \"<$TERM>\"", envs={"TERM": ""})[0] == b"<>\n"


def test_defaults_of_a_terminal(envd):
    stream = envd.stream("process.Process/Start", {"process": {"cmd": "/bin/sh", "args": ["-c", "stty size; pwd"]}, "pty": {}})
    stream.start()
    assert stream.collect()[2] == b"24 80\r\n/root\r\n"


def test_login_shell(envd):
    with open("/etc/passwd") as passwd:
        shell = next(line.strip().split(":")[6] for line in passwd if line.startswith("root:"))
    stream = envd.stream("process.Process/Start", {"pty": {"size": {"cols": 80, "rows": 24}}, "tag": "login"})
    pid = stream.start()
    (shown,) = [p["config"] for p in envd.processes() if p["pid"] == pid]
    assert shown == {"cmd": shell, "args": ["-l"]}
    envd.send_input(pid, b"echo shell=$SHELL= zero=$0=; exit 4\n", kind="pty")
    text = stream.collect()
    assert f"shell={shell}=".encode() in text[2] and text[3]["exitCode"] == 4
    stream = envd.stream("process.Process/Start", {"process": {"cmd": "", "args": ["x"]}, "pty": {}})
    with pytest.raises(RpcError) as error:
        next(stream)
    assert error.value.code == "invalid_argument"


def test_interactive_shell(envd):
    stream = envd.start("/bin/bash", ["--norc", "-i"], pty=(80, 24), envs={"PS1": "$ ", "TERM": "dumb"})
    pid = stream.start()
    envd.send_input(pid, b"echo $((6*7))\n", kind="pty")
    read_until(stream, b"\r\n42\r\n")
    envd.send_input(pid, b"sleep 1000\n", kind="pty")
    time.sleep(0.5)
    envd.send_input(pid, b"\x03", kind="pty")
    read_until(stream, b"^C")
    envd.send_input(pid, b"exit 5\n", kind="pty")
    *_, end = stream.collect()
    assert end["exitCode"] == 5


def test_input_kind_must_fit(envd):
    stream = envd.start("cat", pty=(80, 24))
    pid = stream.start()
    for call, message in (("SendInput", {"input": {"stdin": "eA=="}}), ("CloseStdin", {})):
        with pytest.raises(RpcError) as error:
            envd.call("process.Process/" + call, {"process": {"pid": pid}, **message})
        assert error.value.code == "failed_precondition"
    envd.send_input(pid, b"\x04", kind="pty")
    assert stream.collect()[3]["exitCode"] == 0


def test_kill_reaches_jobs(envd):
    stream = envd.start("/bin/bash", ["--norc", "-i"], pty=(80, 24))
    pid = stream.start()
    envd.send_input(pid, b"sleep 1000 & echo job=$!=\n", kind="pty")
    text = read_until(stream, b"job=")
    while True:
        parts = [part.split(b"=")[0] for part in text.split(b"job=")[1:]]
        numbers = [int(part) for part in parts if part.isdigit()]
        if numbers:
            break
        text += base64.b64decode(next(stream)["data"]["pty"])
    assert alive(numbers[0])
    envd.signal(pid, "SIGNAL_SIGKILL")
    *_, end = stream.collect()
    assert end["status"] == "signal: killed"
    wait_until(lambda: not alive(numbers[0]), what="the background job is gone")


def test_no_output_is_lost_at_the_end(envd):
    for i in range(30):
        stream = envd.start("/bin/sh", ["-c", "seq 1 2000"], pty=(80, 24))
        stream.start()
        assert stream.collect()[2].split() == [str(n).encode() for n in range(1, 2001)]


@pytest.mark.parametrize("size", [{"cols": 70000, "rows": 1}, {"cols": -1, "rows": 1}, {"cols": "x", "rows": 1}])
def test_bad_sizes(envd, size):
    stream = envd.stream("process.Process/Start", {"process": {"cmd": "true"}, "pty": {"size": size}})
    with pytest.raises(RpcError) as error:
        next(stream)
    assert error.value.code == "invalid_argument"
