"""Bad input and bad circumstances: a clear message, the right status, nothing half-made."""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest

from census import census, census_soon
from sockets import Session
from wrenn_platform import BINARY, DIR, Platform

CAPSULES = "/v1/capsules"


@pytest.mark.parametrize("body,part", [
    ("{", "JSON"), ("[]", "body"), ('{"template": 5}', "template"), ('{"template": "no/slash"}', "template"),
    ('{"vcpus": "many"}', "vcpus"), ('{"vcpus": 100000}', "vcpus"), ('{"memory_mb": 1e9}', "memory_mb"),
    ('{"memory_mb": 1}', "memory_mb"), ('{"timeout_sec": -1}', "timeout_sec"), ('\xff', "JSON"),
])
def test_bad_creates(platform, body, part):
    answer = platform.request("POST", CAPSULES, body.encode("latin-1"), headers={"Content-Type": "application/json"})
    status, code, message = answer.error()
    assert (status, code) == (400, "invalid_request") and part in message


def test_unknown_template(platform):
    status, code, message = platform.request("POST", CAPSULES, {"template": "no-such-template"}).error()
    assert (status, code) == (404, "not_found") and "no-such-template" in message


@pytest.mark.parametrize("identity", ["x", "cl-", "cl-" + "z" * 25, "cl-" + "0" * 26, "cl-" + "A" * 25, "..%2f..%2fetc"])
def test_bad_ids(platform, identity):
    assert platform.request("GET", f"{CAPSULES}/{identity}").error()[:2] == (400, "invalid_request")
    assert platform.request("DELETE", f"{CAPSULES}/{identity}").error()[:2] == (400, "invalid_request")


def test_unknown_ids_and_routes(platform):
    nobody = "cl-" + "1" * 25
    for method, route in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/ping"), ("GET", "/processes")):
        assert platform.request(method, f"{CAPSULES}/{nobody}{route}").error()[:2] == (404, "not_found"), (method, route)
    assert platform.request("GET", "/v1/nothing").error()[0] == 404
    answer = platform.request("PUT", CAPSULES)
    assert answer.error()[0] == 405 and "POST" in answer.headers["Allow"]


def test_credentials(platform):
    for key in (None, "wrn_" + "0" * 32, "nonsense", ""):
        assert platform.request("GET", CAPSULES, key=key).error()[:2] == (401, "unauthorized")
    answer = platform.request("GET", CAPSULES, key=None, headers={"Authorization": f"Bearer {platform.key}"})
    assert answer.status == 200
    assert platform.request("GET", "/health", key=None).json()["status"] == "ok"


def raw(platform, data, wait=5):
    with socket.create_connection(("127.0.0.1", platform.port), timeout=wait) as connection:
        connection.sendall(data)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:
            pass
        return received


@pytest.mark.parametrize("request_bytes,status", [
    (b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b"431"),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
    (b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    (b"GET /health HTTP/1.1\nHost: a\n\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
])
def test_hostile_requests(platform, request_bytes, status):
    assert raw(platform, request_bytes).startswith(b"HTTP/1.1 " + status)
    assert platform.request("GET", "/health", key=None).status == 200


def test_oversize_body(platform):
    head = f"POST {CAPSULES} HTTP/1.1\r\nHost: a\r\nX-API-Key: {platform.key}\r\nContent-Length: {5 << 20}\r\n\r\n"
    answer = raw(platform, head.encode() + b'{"template":"aaa')
    assert answer.startswith(b"HTTP/1.1 413") and b"too_large" in answer


def test_five_hundred_idle_streams(platform):
    """Many open streams cost the others nothing. How fast /health is then, tests/bench measures."""
    with platform.create() as capsule:
        sessions = []
        try:
            for _ in range(10):
                started = capsule.call("POST", "/exec", {"cmd": "sleep", "args": ["1000"], "background": True}).json()
                sessions += [Session(capsule, f"/processes/{started['pid']}/stream") for _ in range(50)]
            assert all(session.until("start")[-1]["pid"] > 0 for session in sessions) and len(sessions) == 500
            assert platform.request("GET", "/health", key=None).status == 200
            assert capsule.shell("echo still here")["stdout"] == "still here\n"
        finally:
            for session in sessions:
                session.socket.close()


def start_output(directory, environment=None, port=None, wait=30):
    """What `wrenn dev` says when it refuses to start."""
    listen = f"127.0.0.1:{port}" if port else "127.0.0.1:0"
    done = subprocess.run([BINARY, "dev", "--dir", directory, "--listen", listen], capture_output=True, text=True, timeout=wait,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
    return done.returncode, done.stderr


def test_port_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = start_output(str(tmp_path), port=port)
    assert code != 0 and str(port) in text and "another program has this port" in text


def test_second_dev_on_one_directory(platform):
    code, text = start_output(DIR)
    assert code != 0 and "another agent" in text


def other_directory(tmp_path, without):
    """A state directory like ours that lacks something."""
    for name in ("kernels", "images"):
        if name != without:
            os.symlink(os.path.join(DIR, name), tmp_path / name)
    return str(tmp_path)


@pytest.mark.parametrize("without,remedy", [("kernels", "rootfs/kernel.sh"), ("images", "rootfs/build.sh")])
def test_missing_kernel_or_image(tmp_path, without, remedy):
    before = census(str(tmp_path))
    lacking = Platform(other_directory(tmp_path, without)).start()
    try:
        answer = lacking.request("POST", CAPSULES, {}, headers={"Prefer": "wait=60"})
        status, _, message = answer.error()
        assert status in (404, 409, 503) and remedy in message, answer
        assert census_soon(str(tmp_path), before) == {}
        assert lacking.request("GET", CAPSULES).json() == []
    finally:
        lacking.stop()


def test_missing_qemu(tmp_path):
    """wrenn serves what needs no machine; a create says what to install."""
    tools = tmp_path / "bin"
    tools.mkdir()
    os.symlink(shutil.which("nft", path="/usr/sbin:/sbin"), tools / "nft")
    directory = tmp_path / "state"
    directory.mkdir()
    before = census(str(directory))
    lacking = Platform(other_directory(directory, None), environment={"PATH": str(tools)}).start()
    try:
        status, _, message = lacking.request("POST", CAPSULES, {}, headers={"Prefer": "wait=60"}).error()
        assert status >= 400 and "qemu" in message.lower() and "apt-get install" in message
        assert census_soon(str(directory), before) == {}
    finally:
        lacking.stop()


def test_without_root(tmp_path):
    directory = tmp_path / "state"
    directory.mkdir()
    os.chmod(tmp_path, 0o755)
    os.chown(directory, 65534, 65534)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", BINARY, "dev", "--dir", str(directory),
                           "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode != 0 and "root" in done.stderr


def test_full_disk(tmp_path):
    """A create that finds the disk full fails clearly and leaves nothing; with room again the next one works."""
    image = tmp_path / "disk.img"
    with open(image, "wb") as file:
        file.truncate(3 << 30)
    mount = tmp_path / "state"
    mount.mkdir()
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        full = Platform(other_directory(mount, None)).start()
        try:
            before = census(str(mount))
            room = os.statvfs(mount)
            with open(mount / "filler", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - (100 << 20))
            status, _, message = full.request("POST", CAPSULES, {}, headers={"Prefer": "wait=60"}).error()
            assert status == 507 and "free" in message and str(mount) in message
            assert census_soon(str(mount), before) == {}
            os.unlink(mount / "filler")
            with full.create() as capsule:
                assert capsule.shell("echo alive")["stdout"] == "alive\n"
        finally:
            full.stop()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_doctor(platform):
    done = subprocess.run([BINARY, "--json", "--dir", DIR, "doctor"], capture_output=True, text=True, timeout=60)
    checks = {check["check"]: check for check in json.loads(done.stdout)}
    assert checks["kernel"]["result"] == "ok" and checks["images"]["found"] == "minimal-debian"
    assert checks["kvm"]["found"] and (checks["kvm"]["result"] == "ok" or checks["kvm"]["remedy"])
    assert done.returncode == (1 if any(c["result"] == "failure" for c in checks.values()) else 0)


def test_static_executable_runs_alone(tmp_path):
    assert "statically linked" in subprocess.run(["file", "-L", BINARY], capture_output=True, text=True).stdout
    shutil.copy(BINARY, tmp_path / "wrenn")
    done = subprocess.run(["chroot", str(tmp_path), "/wrenn", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip()
