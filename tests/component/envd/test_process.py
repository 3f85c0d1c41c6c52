"""process.Process over pipes."""

import base64
import hashlib
import os
import signal
import struct
import threading
import time

import pytest

from envd import RpcError, Stream, alive, envelope, wait_until


def test_echo_events_are_in_order(envd):
    stream = envd.start("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"], stdin=False)
    pid = stream.start()
    assert pid > 1
    out, err, pty, end = stream.collect()
    assert (out, err, pty) == (b"out\n", b"err\n", b"")
    assert end == {"exitCode": 3, "exited": True, "status": "exit status 3", "error": "exit status 3"}


def test_success_has_no_error(envd):
    out, err, end = envd.run("true")
    assert end == {"exitCode": 0, "exited": True, "status": "exit status 0"}


def test_short_processes_never_lose_output(envd):
    for i in range(200):
        out, err, end = envd.shell(f"echo {i}")
        assert out == f"{i}\n".encode() and end["exitCode"] == 0
    assert envd.processes() == []


def test_two_hundred_at_once(envd):
    streams = [envd.start("/bin/sh", ["-c", f"read line; echo {i} $line"], stdin=True) for i in range(200)]
    pids = [stream.start() for stream in streams]
    assert sorted(one["pid"] for one in envd.processes()) == sorted(pids)
    for pid in pids:
        envd.send_input(pid, b"go\n")
    for i, stream in enumerate(streams):
        out, _, _, end = stream.collect()
        assert out == f"{i} go\n".encode() and end["exitCode"] == 0


def test_short_processes_at_once(envd):
    failures = []

    def work(number):
        try:
            for i in range(20):
                out, _, end = envd.shell(f"echo {number}.{i}; exit {i}")
                assert out == f"{number}.{i}\n".encode() and end.get("exitCode", 0) == i
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert envd.processes() == []


def test_binary_output_is_exact(envd):
    size = 10 * 1024 * 1024
    script = (f"import os,random,hashlib,sys; d=random.Random(7).randbytes({size}); os.write(2,hashlib.sha256(d).hexdigest().encode());"
              "sys.stdout.buffer.write(d)")
    out, err, end = envd.run("python3", ["-c", script])
    assert len(out) == size
    assert hashlib.sha256(out).hexdigest() == err.decode()
    assert end["exitCode"] == 0


def test_stdin_and_close(envd):
    stream = envd.start("cat", tag="cat-1")
    pid = stream.start()
    envd.send_input(pid, b"one\n")
    envd.call("process.Process/SendInput",
              {"process": {"tag": "cat-1"}, "input": {"stdin": base64.urlsafe_b64encode(b"\xfb\xff two").decode().rstrip("=")}})
    envd.call("process.Process/CloseStdin", {"process": {"pid": pid}})
    out, _, _, end = stream.collect()
    assert out == b"one\n\xfb\xff two" and end["exitCode"] == 0


def test_big_stdin_arrives_whole(envd):
    stream = envd.start("sha256sum")
    pid = stream.start()
    digest = hashlib.sha256()
    for i in range(8):
        data = bytes([i]) * (1 << 20)
        digest.update(data)
        envd.send_input(pid, data)
    envd.call("process.Process/CloseStdin", {"process": {"pid": pid}})
    out, _, _, _ = stream.collect()
    assert out.split()[0].decode() == digest.hexdigest()


def test_stream_input(envd):
    stream = envd.start("cat")
    pid = stream.start()
    messages = [{"start": {"process": {"pid": pid}}}, {"keepalive": {}},
                {"data": {"input": {"stdin": base64.b64encode(b"streamed").decode()}}}]
    body = b"".join(envelope(m) for m in messages)
    status, headers, answer = envd.request("POST", "/process.Process/StreamInput", body,
                                           {"Content-Type": "application/connect+json"})
    assert status == 200 and headers["Content-Type"] == "application/connect+json"
    assert answer == envelope(b"{}") + envelope(b"{}", 2)
    envd.call("process.Process/CloseStdin", {"process": {"pid": pid}})
    assert stream.collect()[0] == b"streamed"


def test_stream_input_without_start_is_an_error(envd):
    body = envelope({"data": {"input": {"stdin": ""}}})
    _, _, answer = envd.request("POST", "/process.Process/StreamInput", body, {"Content-Type": "application/connect+json"})
    assert answer[0] == 2 and b"invalid_argument" in answer


def test_input_errors(envd):
    stream = envd.start("sleep", ["100"], stdin=False)
    pid = stream.start()
    with pytest.raises(RpcError) as error:
        envd.send_input(pid, b"x")
    assert error.value.code == "failed_precondition"
    with pytest.raises(RpcError) as error:
        envd.send_input(pid, b"x", kind="pty")
    assert error.value.code == "failed_precondition"
    with pytest.raises(RpcError) as error:
        envd.call("process.Process/Update", {"process": {"pid": pid}, "pty": {"size": {"cols": 1, "rows": 1}}})
    assert error.value.code == "failed_precondition"
    envd.signal(pid, "SIGNAL_SIGKILL")
    stream.collect()
    with pytest.raises(RpcError) as error:
        envd.send_input(pid, b"x")
    assert (error.value.code, error.value.status) == ("not_found", 404)


def test_input_to_a_process_that_does_not_read_fails_when_it_ends(envd):
    stream = envd.start("sleep", ["0.5"])
    pid = stream.start()
    with pytest.raises(RpcError) as error:
        envd.send_input(pid, b"x" * (1 << 20))
    assert error.value.code in ("failed_precondition", "not_found")
    stream.collect()


def test_killed_by_signal(envd):
    for name, text in (("SIGNAL_SIGKILL", "signal: killed"), ("SIGNAL_SIGTERM", "signal: terminated"), (15, "signal: terminated")):
        stream = envd.start("sleep", ["100"], stdin=False)
        envd.signal(stream.start(), name)
        *_, end = stream.collect()
        assert end == {"exitCode": -1, "exited": False, "status": text, "error": text}


def test_other_signals_are_refused(envd):
    stream = envd.start("sleep", ["100"], stdin=False)
    pid = stream.start()
    for bad in ("SIGNAL_SIGHUP", 1, "SIGNAL_UNSPECIFIED", None):
        with pytest.raises(RpcError) as error:
            envd.signal(pid, bad)
        assert error.value.code == "invalid_argument"
    envd.signal(pid, 9)
    stream.collect()


def test_a_signal_reaches_the_group(envd):
    stream = envd.start("/bin/sh", ["-c", "sleep 1000 & sleep 1000 & echo $!; wait"], stdin=False)
    pid = stream.start()
    child = int(base64.b64decode(next(stream)["data"]["stdout"]))
    assert alive(child)
    assert os.getpgid(child) == pid and os.getsid(child) == pid
    envd.signal(pid, "SIGNAL_SIGKILL")
    stream.collect()
    wait_until(lambda: not alive(child), what="the child is gone")


def test_inherited_pipe_keeps_the_stream_until_killed(envd):
    stream = envd.start("/bin/sh", ["-c", "sleep 1000 & echo started"], stdin=False)
    pid = stream.start()
    assert base64.b64decode(next(stream)["data"]["stdout"]) == b"started\n"
    wait_until(lambda: not alive(pid), what="the shell is gone")
    time.sleep(0.2)
    assert [p["pid"] for p in envd.processes()] == [pid]
    envd.signal(pid, "SIGNAL_SIGTERM")
    *_, end = stream.collect()
    assert end["exitCode"] == 0 and end["exited"]


def test_output_after_exit_of_the_shell_arrives(envd):
    out, _, end = envd.shell("(sleep 0.3; echo late) & echo early")
    assert out == b"early\nlate\n" and end["exitCode"] == 0


def test_connect_after_exit(envd):
    stream = envd.start("/bin/sh", ["-c", "exit 7"], stdin=False, tag="short")
    pid = stream.start()
    stream.collect()
    for selector in ({"pid": pid}, {"tag": "short"}):
        late = envd.stream("process.Process/Connect", {"process": selector})
        assert late.start() == pid
        out, err, _, end = late.collect()
        assert out == b"" and end["exitCode"] == 7


def test_connect_sees_output_from_now_on(envd):
    first = envd.start("/bin/sh", ["-c", "echo before; read x; echo after $x"])
    pid = first.start()
    assert base64.b64decode(next(first)["data"]["stdout"]) == b"before\n"
    second = envd.stream("process.Process/Connect", {"process": {"pid": pid}})
    assert second.start() == pid
    envd.send_input(pid, b"go\n")
    assert first.collect()[0] == b"after go\n"
    assert second.collect()[0] == b"after go\n"


def test_disconnect_does_not_kill(envd):
    stream = envd.start("/bin/sh", ["-c", "read x; yes | head -c 1000000; exit 4"])
    pid = stream.start()
    stream.close()
    time.sleep(0.2)  # as long as it takes to notice
    assert alive(pid)
    late = envd.stream("process.Process/Connect", {"process": {"pid": pid}})
    late.start()
    envd.send_input(pid, b"go\n")
    *_, end = late.collect()
    assert end["exitCode"] == 4


def test_output_of_an_abandoned_process_is_drained(envd):
    stream = envd.start("/bin/sh", ["-c", "sleep 0.2; head -c 20000000 /dev/zero; exit 5"], stdin=False)
    pid = stream.start()
    stream.close()
    wait_until(lambda: all(p["pid"] != pid for p in envd.processes()), what="the process ended though nobody reads")


def test_unknown_process(envd):
    for method, extra in (("SendSignal", {"signal": 9}), ("CloseStdin", {}), ("Update", {}),
                          ("SendInput", {"input": {"stdin": ""}})):
        with pytest.raises(RpcError) as error:
            envd.call("process.Process/" + method, {"process": {"pid": 4000000}, **extra})
        assert (error.value.code, error.value.status) == ("not_found", 404)
        assert error.value.message == "process with pid 4000000 not found"
    stream = envd.stream("process.Process/Connect", {"process": {"tag": "nobody"}})
    assert stream.response.status == 200
    with pytest.raises(RpcError) as error:
        next(stream)
    assert error.value.code == "not_found" and error.value.message == "process with tag nobody not found"


def test_selector_needs_exactly_one(envd):
    for selector in ({}, {"pid": 1, "tag": "x"}, None):
        with pytest.raises(RpcError) as error:
            envd.call("process.Process/CloseStdin", {"process": selector})
        assert (error.value.code, error.value.status) == ("invalid_argument", 400)


def test_list(envd):
    stream = envd.start("sleep", ["50"], stdin=False, tag="t", cwd="/tmp", envs={"A": "b"})
    pid = stream.start()
    assert envd.processes() == [
        {"config": {"cmd": "sleep", "args": ["50"], "envs": {"A": "b"}, "cwd": "/tmp"}, "pid": pid, "tag": "t"}]
    envd.signal(pid, 9)
    stream.collect()
    assert envd.processes() == []


def test_environment(envd):
    out, _, _ = envd.run("env", envs={"A": "1", "HOME": "/elsewhere", "Z": "a=b c"})
    lines = out.decode().splitlines()
    assert lines[0].startswith("PATH=") and lines[1] == "HOME=/elsewhere"
    assert lines[2:4] == ["USER=root", "LOGNAME=root"]
    assert set(lines[4:]) == {"WRENN_SANDBOX=false", "E2B_SANDBOX=false", "A=1", "Z=a=b c"}


def test_environment_is_not_kept(envd):
    envd.run("true", envs={"SECRET": "1"})
    assert b"SECRET" not in envd.run("env")[0]


@pytest.mark.parametrize("envs", [{"": "x"}, {"a=b": "x"}, {"a\0": "x"}, {"a": "\0"}])
def test_bad_environment(envd, envs):
    with pytest.raises(RpcError) as error:
        envd.start("true", envs=envs).start()
    assert error.value.code == "invalid_argument"


def test_cwd(envd, tmp_path):
    (tmp_path / "d").mkdir()
    assert envd.run("pwd", cwd=str(tmp_path / "d"))[0].decode().strip() == str(tmp_path / "d")
    assert envd.run("pwd", cwd="~")[0] == b"/root\n"
    assert envd.run("pwd")[0] == b"/root\n"
    for missing in (str(tmp_path / "none"), "/etc/passwd"):
        with pytest.raises(RpcError) as error:
            envd.start("pwd", cwd=missing).start()
        assert error.value.code == "invalid_argument" and missing in error.value.message
    with pytest.raises(RpcError):
        envd.start("pwd", cwd="~other").start()


@pytest.mark.parametrize("cmd,code,text", [
    ("no-such-command", 127, b"no-such-command: command not found\n"),
    ("/no/such/file", 127, b"/no/such/file: No such file or directory\n"),
    ("/etc/passwd", 126, b"/etc/passwd: Permission denied\n"),
    ("/etc", 126, b"/etc: Permission denied\n"),
])
def test_commands_that_cannot_run(envd, cmd, code, text):
    out, err, end = envd.run(cmd)
    assert (out, err) == (b"", text)
    assert end["exitCode"] == code and end["exited"]


def test_script_without_interpreter_line(envd, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo \"$0:$1\"\n")
    script.chmod(0o755)
    assert envd.run(str(script), ["arg"])[0].decode() == f"{script}:arg\n"
    assert envd.run("script", ["arg"], envs={"PATH": f"{tmp_path}:/usr/bin:/bin"})[0].decode() == f"{script}:arg\n"


def test_too_many_arguments(envd):
    out, err, end = envd.run("true", ["x" * 100000] * 30)
    assert end["exitCode"] == 126 and b"Argument list too long" in err


def test_timeout_kills_the_group(envd):
    begin = time.monotonic()
    stream = envd.start("/bin/sh", ["-c", "echo hi; sleep 1000 & echo $!; wait"], stdin=False, headers={"Connect-Timeout-Ms": "2000"})
    stream.start()
    text = b""
    while text.count(b"\n") < 2:
        text += base64.b64decode(next(stream)["data"]["stdout"])
    with pytest.raises(RpcError) as error:
        next(stream)
    assert error.value.code == "deadline_exceeded"
    assert 1.5 < time.monotonic() - begin < 20
    child = int(text.split()[1])
    wait_until(lambda: not alive(child), what="the child is gone")
    assert envd.processes() == []


def test_timeout_holds_without_the_client(envd):
    stream = envd.start("sleep", ["1000"], stdin=False, headers={"Connect-Timeout-Ms": "300"})
    pid = stream.start()
    stream.close()
    wait_until(lambda: not alive(pid), what="killed at its deadline")


def test_timeout_of_connect_ends_the_stream_only(envd):
    stream = envd.start("sleep", ["1000"], stdin=False)
    pid = stream.start()
    other = envd.stream("process.Process/Connect", {"process": {"pid": pid}}, {"Connect-Timeout-Ms": "200"})
    other.start()
    with pytest.raises(RpcError) as error:
        next(other)
    assert error.value.code == "deadline_exceeded"
    assert alive(pid)
    envd.signal(pid, 9)
    stream.collect()


@pytest.mark.parametrize("value", ["x", "-1", "12345678901", "1.5", ""])
def test_bad_timeout(envd, value):
    with pytest.raises(RpcError) as error:
        envd.start("true", headers={"Connect-Timeout-Ms": value}).start()
    assert error.value.code == "invalid_argument"


def test_keepalive(envd):
    begin = time.monotonic()
    stream = envd.start("sleep", ["100"], stdin=False, headers={"Keepalive-Ping-Interval": "1"})
    pid = stream.start()
    assert next(stream) == {"keepalive": {}}
    assert next(stream) == {"keepalive": {}}
    assert 1.5 < time.monotonic() - begin < 6
    envd.signal(pid, 9)
    stream.collect()


def test_slow_reader_slows_the_process_and_loses_nothing(fresh):
    size = 64 * 1024 * 1024
    fresh.shell("echo")  # brings back the pages of the program that envd gives away once it has started
    before = fresh.resident_kib()
    stream = fresh.start("/bin/sh", ["-c", f"head -c {size} /dev/zero; echo done >&2"], stdin=False, buffer=65536)
    pid = stream.start()
    time.sleep(2)  # nobody reads: the process must be waiting, not its output in memory
    assert alive(pid)
    assert fresh.resident_kib() - before < 4 * 1024
    out, err, _, end = stream.collect()
    assert len(out) == size and out.count(0) == size and err == b"done\n" and end["exitCode"] == 0
    assert fresh.resident_kib("VmHWM") < 16 * 1024


def test_a_slow_reader_does_not_lose_data_of_another(fresh):
    size = 8 * 1024 * 1024
    slow = fresh.start("/bin/sh", ["-c", f"read x; head -c {size} /dev/zero"], buffer=65536)
    pid = slow.start()
    fast = fresh.stream("process.Process/Connect", {"process": {"pid": pid}})
    fast.start()
    result = []
    reader = threading.Thread(target=lambda: result.append(fast.collect()))
    reader.start()
    fresh.send_input(pid, b"go\n")
    time.sleep(1)
    assert not result  # the slow one governs
    assert len(slow.collect()[0]) == size
    reader.join(30)
    assert len(result[0][0]) == size


def test_a_reader_that_goes_away_frees_the_process(fresh):
    stream = fresh.start("/bin/sh", ["-c", "head -c 50000000 /dev/zero; exit 9"], stdin=False, buffer=65536)
    pid = stream.start()
    time.sleep(0.5)
    assert alive(pid)
    stream.close()
    wait_until(lambda: fresh.processes() == [], what="the process ran on to its end")


def test_children_are_reaped(envd):
    envd.shell("true")
    with open(f"/proc/{envd.pid}/task/{envd.pid}/children") as children:
        assert children.read().strip() == ""


def test_attributes_of_a_process(envd):
    out, _, _ = envd.shell("cat /proc/self/oom_score_adj; nice; umask; ls /proc/self/fd | wc -l")
    assert out.split() == [b"100", b"0", b"0022", b"4"]  # 0, 1, 2 and the directory that ls reads


def test_many_processes_are_bounded(fresh):
    streams = [fresh.start("sleep", ["1000"], stdin=False) for _ in range(100)]
    for stream in streams:
        stream.start()
    assert len(fresh.processes()) == 100
    assert fresh.resident_kib() < 32 * 1024
    for stream in streams:
        stream.close()


def test_stop_kills_what_was_started():
    from envd import Envd
    one = Envd()
    stream = one.start("/bin/sh", ["-c", "trap '' TERM; sleep 1000 & echo $!; wait"], stdin=False)
    pid = stream.start()
    child = int(base64.b64decode(next(stream)["data"]["stdout"]))
    one.stop()
    wait_until(lambda: not alive(pid) and not alive(child), what="the processes are gone")
