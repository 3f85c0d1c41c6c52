"""Output for a client that reconnects, and ends for one that comes late."""

import base64

import pytest

from envd import RpcError, wait_until


def replay(envd, pid, position):
    stream = envd.stream("process.Process/Connect", {"process": {"pid": pid}, "replayFrom": position})
    return stream


def test_replay_for_who_reconnects(envd):
    first = envd.start("/bin/sh", ["-c", "echo one; echo two >&2; read x; echo three; read x; exit 6"])
    pid = first.start()
    seen = b""
    while len(seen) < 8:
        seen += base64.b64decode(list(next(first)["data"].values())[0])
    first.close()
    envd.send_input(pid, b"\n")
    wait_until(lambda: b"three" in read_some(replay(envd, pid, 8), 6), what="the process has gone on")
    for position in (0, "0"):
        again = replay(envd, pid, position)
        assert again.start() == pid
        assert read_some(again, 14, started=True) in (b"one\ntwo\nthree\n", b"two\none\nthree\n")
    part = replay(envd, pid, 10)
    part.start()
    envd.send_input(pid, b"\n")
    out, err, _, end = part.collect()
    assert out + err == b"ree\n" and end["exitCode"] == 6
    late = replay(envd, pid, 0)  # also when it has ended
    late.start()
    out, err, _, end = late.collect()
    assert (out, err, end["exitCode"]) == (b"one\nthree\n", b"two\n", 6)


def read_some(stream, size, started=False):
    """`size` bytes of output over all channels; then the stream is closed."""
    if not started:
        stream.start()
    text = b""
    while len(text) < size:
        event = next(stream)
        if "end" in event:
            break
        text += base64.b64decode(list(event["data"].values())[0])
    stream.close()
    return text


def test_replay_says_what_is_lost(envd):
    first = envd.start("/bin/sh", ["-c", "head -c 1000000 /dev/zero; echo; echo tail; read x"])
    pid = first.start()
    first.close()
    wait_until(lambda: read_from_oldest(envd, pid).endswith(b"\ntail\n"), what="the process has printed all")
    stream = replay(envd, pid, 0)
    with pytest.raises(RpcError) as error:
        next(stream)
    assert error.value.code == "data_loss"
    oldest = int(error.value.message.rpartition(": ")[2].split()[0])
    assert 1000006 - 64 * 1024 <= oldest < 1000006 and f"{oldest} bytes" in error.value.message
    stream = replay(envd, pid, oldest)
    assert len(read_some(stream, 1000006 - oldest)) == 1000006 - oldest
    for wrong in (1000007, -1, "x"):
        with pytest.raises(RpcError) as error:
            next(replay(envd, pid, wrong))
        assert error.value.code == "invalid_argument"
    envd.signal(pid, 9)


def read_from_oldest(envd, pid):
    try:
        next(replay(envd, pid, 0))
        return b""
    except RpcError as error:
        oldest = int(error.message.rpartition(": ")[2].split()[0])
    return read_some(replay(envd, pid, oldest), 1000006 - oldest) if oldest > 900000 else b""


def test_many_ends_are_remembered(fresh):
    first = fresh.start("/bin/sh", ["-c", "echo x; exit 42"], stdin=False, tag="first")
    pid = first.start()
    first.collect()
    for _ in range(400):
        fresh.run("true")
    late = fresh.stream("process.Process/Connect", {"process": {"tag": "first"}})
    assert late.start() == pid
    assert late.collect()[3]["exitCode"] == 42
    with pytest.raises(RpcError) as error:
        next(replay(fresh, pid, 0))
    assert error.value.code == "data_loss"
    late = replay(fresh, pid, 2)
    late.start()
    assert late.collect()[3]["exitCode"] == 42
