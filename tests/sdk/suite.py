"""What users of the E2B SDK for Python do inside a sandbox; suite.mjs says what the environment names."""

import asyncio
import os
import threading
import time
import urllib.error
import urllib.request

import pytest
from e2b import AsyncSandbox, CommandExitException, NotFoundException, Sandbox, TimeoutException
from e2b.connection_config import ConnectionConfig
from packaging.version import Version

ID = os.environ["WRENN_SANDBOX_ID"]
HOME = os.environ["WRENN_HOME"]
WAIT_SECONDS = 30


def options(token=os.environ["WRENN_ACCESS_TOKEN"]):
    config = ConnectionConfig(api_key="e2b_" + "0" * 40, sandbox_url=os.environ["WRENN_SANDBOX_URL"],
                              extra_sandbox_headers={"E2b-Sandbox-Id": ID, "E2b-Sandbox-Port": "49983", "X-Access-Token": token})
    return {"sandbox_id": ID, "sandbox_domain": None, "envd_version": Version(os.environ["WRENN_ENVD_VERSION"]),
            "envd_access_token": token, "traffic_access_token": None, "connection_config": config}


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(**options())


def until(condition, what):
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {WAIT_SECONDS} s"
        time.sleep(0.05)


def test_running(sandbox):
    assert sandbox.is_running()


def test_output_and_exit_code(sandbox):
    done = sandbox.commands.run('echo "$GREETING"; echo to stderr >&2; pwd', envs={"GREETING": "hello ✓"}, cwd="/tmp")
    assert (done.stdout, done.stderr, done.exit_code) == ("hello ✓\n/tmp\n", "to stderr\n", 0)
    with pytest.raises(CommandExitException) as failure:
        sandbox.commands.run("exit 3")
    assert failure.value.exit_code == 3


def test_much_output(sandbox):
    assert len(sandbox.commands.run("seq 1 100000").stdout) == 588895


def test_background_input_and_connect(sandbox):
    handle = sandbox.commands.run("read line; echo got $line", background=True, stdin=True)
    assert handle.pid in [one.pid for one in sandbox.commands.list()]
    other = sandbox.commands.connect(handle.pid)
    sandbox.commands.send_stdin(handle.pid, "a line\n")
    assert handle.wait().stdout == "got a line\n"
    assert other.wait().stdout == "got a line\n"


def test_kill_and_timeout(sandbox):
    handle = sandbox.commands.run("sleep 600", background=True)
    assert handle.kill()
    with pytest.raises(CommandExitException):
        handle.wait()
    assert not sandbox.commands.kill(handle.pid)
    with pytest.raises(TimeoutException):
        sandbox.commands.run("sleep 600", timeout=1.5)


def test_pty(sandbox):
    from e2b import PtySize
    screen = bytearray()
    terminal = sandbox.pty.create(PtySize(rows=24, cols=80))
    ends = []

    def read():
        try:
            terminal.wait(on_pty=screen.extend)
        except CommandExitException as end:
            ends.append(end.exit_code)

    reader = threading.Thread(target=read)
    reader.start()
    sandbox.pty.send_stdin(terminal.pid, b"stty size\n")
    until(lambda: b"24 80" in screen, "the size of the terminal")
    sandbox.pty.resize(terminal.pid, PtySize(rows=50, cols=132))
    sandbox.pty.send_stdin(terminal.pid, b"stty size\n")
    until(lambda: b"50 132" in screen, "the new size")
    sandbox.pty.send_stdin(terminal.pid, b"exit 4\n")
    reader.join(WAIT_SECONDS)
    assert ends == [4]


def test_files(sandbox):
    folder = f"{HOME}/python"
    assert sandbox.files.make_dir(folder) and not sandbox.files.make_dir(folder)
    data = os.urandom(3_000_000)
    sandbox.files.write(f"{folder}/bytes", data)
    assert bytes(sandbox.files.read(f"{folder}/bytes", format="bytes")) == data
    assert b"".join(sandbox.files.read(f"{folder}/bytes", format="stream")) == data
    assert sandbox.files.get_info(f"{folder}/bytes").size == len(data)
    sandbox.files.rename(f"{folder}/bytes", f"{folder}/moved")
    assert [one.name for one in sandbox.files.list(folder)] == ["moved"]
    sandbox.files.remove(folder)
    assert not sandbox.files.exists(folder)
    with pytest.raises(NotFoundException):
        sandbox.files.read(f"{folder}/moved")


def test_watch(sandbox):
    folder = f"{HOME}/python-watched"
    sandbox.files.make_dir(folder)
    watch = sandbox.files.watch_dir(folder, recursive=True)
    sandbox.files.write(f"{folder}/one", "1")
    seen = []

    def heard():
        seen.extend((event.type.value, event.name) for event in watch.get_new_events())
        return ("create", "one") in seen

    until(heard, "the event")
    watch.stop()


def test_signed_urls(sandbox):
    sandbox.files.write(f"{HOME}/signed-py", "signed")
    url = sandbox.download_url(f"{HOME}/signed-py", use_signature_expiration=600)
    headers = {"E2b-Sandbox-Id": ID, "E2b-Sandbox-Port": "49983"}
    assert urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=WAIT_SECONDS).read() == b"signed"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(urllib.request.Request(url.replace("signature=v1_", "signature=v1_x"), headers=headers), timeout=WAIT_SECONDS)
    assert refusal.value.code == 401


def test_the_asynchronous_client():
    async def use():
        sandbox = AsyncSandbox(**options())
        first, second = await asyncio.gather(sandbox.commands.run("echo one"), sandbox.commands.run("echo two"))
        assert (first.stdout, second.stdout) == ("one\n", "two\n")
        await sandbox.files.write(f"{HOME}/async", "text")
        assert await sandbox.files.read(f"{HOME}/async") == "text"
        folder = f"{HOME}/async-watched"
        await sandbox.files.make_dir(folder)
        events = []
        watch = await sandbox.files.watch_dir(folder, on_event=events.append)
        await sandbox.files.write(f"{folder}/one", "1")
        for _ in range(WAIT_SECONDS * 20):
            if any(event.name == "one" for event in events):
                break
            await asyncio.sleep(0.05)
        assert any(event.name == "one" for event in events)
        await watch.stop()
    asyncio.run(asyncio.wait_for(use(), 120))


def test_a_wrong_token_is_refused():
    with pytest.raises(Exception) as refusal:
        Sandbox(**options("wrong")).commands.run("true")
    assert "401" in str(refusal.value) or "nauthenticated" in str(refusal.value) or "access token" in str(refusal.value)
