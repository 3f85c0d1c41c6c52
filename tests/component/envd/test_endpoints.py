"""Health, metrics, init, the access token, and what hostile requests get."""

import json
import os
import shutil
import socket
import struct
import subprocess
import time

import pytest

from envd import Envd, RpcError, basic, command, envelope

JSON = {"Content-Type": "application/json"}
CONNECT = {"Content-Type": "application/connect+json"}
UNAUTHORIZED = {"code": 401, "message": "unauthorized access, please provide a valid access token or method signing if supported"}


def init(envd, message, headers=None):
    status, _, body = envd.request("POST", "/init", json.dumps(message) if message is not None else None, {**JSON, **(headers or {})})
    return status, body


def test_health(envd):
    status, headers, body = envd.request("GET", "/health")
    assert status == 200 and json.loads(body) == {"version": "0.6.13"} and headers["Cache-Control"] == "no-store"


def test_health_is_quick_while_many_streams_are_open(fresh):
    streams = [fresh.start("sleep", ["1000"], stdin=False) for _ in range(200)]
    for stream in streams:
        stream.start()
    begin = time.monotonic()
    for _ in range(20):
        assert fresh.request("GET", "/health")[0] == 200
    assert (time.monotonic() - begin) / 20 < 0.2
    for stream in streams:
        stream.close()


def test_metrics(envd):
    answer = json.loads(envd.request("GET", "/metrics")[2])
    assert set(answer) == {"ts", "cpu_count", "cpu_used_pct", "mem_total_mib", "mem_used_mib", "mem_total", "mem_used",
                           "mem_cache", "disk_used", "disk_total"}
    assert abs(answer["ts"] - time.time()) < 5 and answer["cpu_count"] == os.cpu_count()
    assert 0 <= answer["cpu_used_pct"] <= 100
    assert answer["mem_total"] // (1 << 20) == answer["mem_total_mib"] > 0
    assert 0 < answer["mem_used"] < answer["mem_total"] and 0 < answer["disk_used"] <= answer["disk_total"]


def test_cpu_share_follows_the_load(fresh):
    fresh.request("GET", "/metrics")
    time.sleep(0.6)
    fresh.shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
    assert json.loads(fresh.request("GET", "/metrics")[2])["cpu_used_pct"] > 5


def test_init_without_body(fresh):
    assert init(fresh, None) == (204, b"")
    assert fresh.request("POST", "/init")[0] == 204


def test_init_sets_defaults(fresh, tmp_path):
    tmp_path.chmod(0o755)
    assert init(fresh, {"envVars": {"A": "1", "B": "2"}, "defaultUser": "nobody", "defaultWorkdir": "/tmp",
                        "sandboxId": "cl-1", "templateId": "t-1"})[0] == 204
    assert init(fresh, {"envVars": {"B": "3"}})[0] == 204
    expected = {"WRENN_SANDBOX": "false", "E2B_SANDBOX": "false", "WRENN_SANDBOX_ID": "cl-1", "E2B_SANDBOX_ID": "cl-1",
                "WRENN_TEMPLATE_ID": "t-1", "E2B_TEMPLATE_ID": "t-1", "A": "1", "B": "3"}
    assert json.loads(fresh.request("GET", "/envs")[2]) == expected
    out, _, _ = fresh.shell("id -un; id -Gn; pwd; env")
    lines = out.decode().splitlines()
    assert lines[0] == "nobody" and lines[1] == "nogroup" and lines[2] == "/tmp"
    assert {f"{k}={v}" for k, v in expected.items()} <= set(lines[3:])
    # A request's own user and directory win; relative paths are of the home, empty ones of the working directory.
    assert fresh.shell("id -un; pwd", headers=basic("root"), cwd="/")[0] == b"root\n/\n"
    assert fresh.call("filesystem.Filesystem/Stat", {"path": ""})["entry"]["path"] == "/tmp"


def test_supplementary_groups(fresh):
    import grp
    import pwd
    for user in pwd.getpwall():
        groups = {g.gr_name for g in grp.getgrall() if user.pw_name in g.gr_mem}
        if groups and user.pw_uid != 0:
            break
    else:
        pytest.skip("no account with supplementary groups here")
    out = fresh.shell("id -Gn", headers=basic(user.pw_name), cwd="/")[0].decode().split()
    assert set(out) == groups | {grp.getgrgid(user.pw_gid).gr_name}


@pytest.mark.parametrize("message", [
    {"timestamp": "yesterday"}, {"envVars": {"": "x"}}, {"envVars": {"A": 1}}, {"hostname": "-x"}, {"hostname": "a b"},
    {"defaultUser": "a\nb"}, {"accessToken": "x" * 5000}, {"entropy": "not base64!"}, {"envVars": []}, [], "x"])
def test_init_checks_everything_first(fresh, message):
    status, body = init(fresh, message)
    assert status == 400 and json.loads(body)["code"] == 400
    if isinstance(message, dict):
        assert init(fresh, {"envVars": {"GOOD": "1"}, "accessToken": "t", **message})[0] == 400
    assert "GOOD" not in json.loads(fresh.request("GET", "/envs")[2])  # no token either


def test_token(fresh):
    token = {"X-Access-Token": "secret"}
    assert init(fresh, {"accessToken": "secret"})[0] == 204
    for method, path, headers in (("GET", "/metrics", {}), ("GET", "/envs", {}), ("GET", "/files?path=/etc/hostname", {}),
                                  ("POST", "/files?path=/tmp/x", {"Content-Type": "application/octet-stream"}),
                                  ("POST", "/process.Process/List", JSON), ("POST", "/process.Process/Start", CONNECT),
                                  ("POST", "/filesystem.Filesystem/Stat", JSON), ("GET", "/no/such/path", {}),
                                  ("POST", "/health", {}), ("GET", "/init", {})):
        for wrong in ({}, {"X-Access-Token": "wrong"}, {"X-Access-Token": "secre"}, {"X-Access-Token": "secret1"}, {"X-Access-Token": ""}):
            status, _, body = fresh.request(method, path, "{}" if method == "POST" else None, {**headers, **wrong})
            expected = UNAUTHORIZED
            if path.startswith("/files?"):  # which may be signed for instead; a token that is shown counts
                expected = {"code": 401, "message": "the access token of the X-Access-Token field is not the right one" if wrong
                            else "missing signature query parameter"}
            assert (status, json.loads(body)) == (401, expected), (method, path, wrong)
    assert fresh.request("GET", "/health")[0] == 200
    fresh.headers = token
    assert fresh.shell("echo in")[0] == b"in\n"
    assert fresh.request("GET", "/metrics")[0] == 200
    assert fresh.request("GET", "/no/such/path")[0] == 404


def test_changing_the_token(fresh):
    assert init(fresh, {"accessToken": "one"})[0] == 204
    assert init(fresh, {"accessToken": "two"})[0] == 401
    assert init(fresh, {"envVars": {"A": "1"}})[0] == 401
    assert init(fresh, None)[0] == 401
    assert init(fresh, {"accessToken": "one", "envVars": {"A": "1"}})[0] == 204
    assert init(fresh, {"accessToken": "two"}, {"X-Access-Token": "one"})[0] == 204
    assert init(fresh, {"accessToken": "one"})[0] == 401
    assert init(fresh, {"accessToken": ""})[0] == 401
    assert init(fresh, {"accessToken": ""}, {"X-Access-Token": "two"})[0] == 204
    assert fresh.request("GET", "/envs")[0] == 200


def test_unknown_paths_and_methods(envd):
    assert envd.request("GET", "/nothing")[0] == 404
    status, headers, body = envd.request("DELETE", "/files?path=/tmp/x")
    assert status == 405 and set(headers["Allow"].replace(" ", "").split(",")) >= {"GET", "POST"} and json.loads(body)["code"] == 405
    assert envd.request("GET", "/process.Process/List")[0] == 405


@pytest.mark.parametrize("body,code", [
    (b"", "invalid_argument"), (b"{", "invalid_argument"), (b"[]", "invalid_argument"), (b"\xff", "invalid_argument"),
    (b"[" * 100000, "invalid_argument"), (b'{"process":7}', "invalid_argument"), (b'{"process":{"pid":-1}}', "invalid_argument"),
    (b'{"process":{"pid":4294967296}}', "invalid_argument"), (b" " * (5 << 20), "resource_exhausted")])
def test_hostile_unary_bodies(envd, body, code):
    status, _, answer = envd.request("POST", "/process.Process/CloseStdin", body, JSON)
    assert status in (400, 413, 429) and json.loads(answer)["code"] == code
    assert envd.request("GET", "/health")[0] == 200


@pytest.mark.parametrize("body", [
    b"", b"\0\0\0", b"\0\0\0\0\5{}", b"\0\xff\xff\xff\xff", b"\1\0\0\0\2{}", b"\x80\0\0\0\2{}", envelope(b"{"), envelope(b"{}"),
    envelope({"process": {"cmd": ""}}), envelope({"process": {"cmd": "a\0b"}}), envelope({"process": {"cmd": "a", "args": ["\0"]}}),
    envelope({"process": {"cmd": 1}}), envelope({"process": {"cmd": "true"}, "tag": "x" * 5000})])
def test_hostile_streams(envd, body):
    status, headers, answer = envd.request("POST", "/process.Process/Start", body, CONNECT)
    assert status == 200 and headers["Content-Type"] == "application/connect+json"
    flags, size = struct.unpack(">BI", answer[:5])
    assert flags == 2 and size == len(answer) - 5
    assert json.loads(answer[5:])["error"]["code"] in ("invalid_argument", "unimplemented", "resource_exhausted")


def test_content_types(envd):
    for path, given in (("/process.Process/List", "application/proto"), ("/process.Process/List", "application/connect+json"),
                        ("/process.Process/Start", "application/json"), ("/process.Process/Start", "application/grpc")):
        assert envd.request("POST", path, b"{}", {"Content-Type": given})[0] == 415
    assert envd.request("POST", "/process.Process/List", b"{}", {"Content-Type": "Application/JSON; charset=utf-8"})[0] == 200
    assert envd.request("POST", "/process.Process/List", b"{}", {**JSON, "Content-Encoding": "gzip"})[0] == 501


def test_bad_authorization(envd):
    for value in ("Bearer x", "Basic !!!", "Basic"):
        with pytest.raises(RpcError) as error:
            envd.call("filesystem.Filesystem/Stat", {"path": "/"}, {"Authorization": value})
        assert error.value.code == "unauthenticated"
    stream = envd.start("true", headers=basic("no-such-user"))
    with pytest.raises(RpcError) as error:
        next(stream)
    assert (error.value.code, error.value.message) == ("unauthenticated", "invalid username: 'no-such-user'")


def test_not_http(envd):
    for data in (b"\0" * 100, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", b"A" * 200000):
        conn = socket.create_connection(("127.0.0.1", envd.port))
        conn.settimeout(10)
        try:
            conn.sendall(data)
            answer = conn.recv(1000)
            assert answer.startswith(b"HTTP/1.1 4") or answer == b""
        except ConnectionError:
            pass
        conn.close()
    assert envd.request("GET", "/health")[0] == 200


def test_idle_memory_is_small(fresh):
    fresh.request("GET", "/health")
    assert fresh.resident_kib() < 6 * 1024


def test_idle_envd_sleeps(fresh):
    fresh.request("GET", "/health")
    time.sleep(1.5)

    def switches():
        total = 0
        for task in os.listdir(f"/proc/{fresh.pid}/task"):
            with open(f"/proc/{fresh.pid}/task/{task}/status") as status:
                total += int(status.read().split("\nvoluntary_ctxt_switches:")[1].split()[0])
        return total

    before = switches()
    time.sleep(3)
    assert switches() - before <= 4


def test_port_taken(envd):
    process = subprocess.run([*command(), "--host", "127.0.0.1", "--port", str(envd.port)], capture_output=True, text=True, timeout=20)
    assert process.returncode != 0 and str(envd.port) in process.stderr


@pytest.fixture
def guest():
    """envd as in a guest, with host name, /run and /etc of its own; the clock is the machine's, so no timestamps."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or not unshare:
        pytest.skip("namespaces need root and unshare")
    setup = ("mount -t tmpfs tmpfs /run && cp -a /etc /run/etc && mount --bind /run/etc /etc && mkdir -p /etc/ssh && "
             "printf '10.0.0.1 kept\\n' >>/etc/hosts && exec \"$@\"")
    try:
        one = Envd(["--in-guest", "--cgroup-root", "/nonexistent"], wrap=[unshare, "--mount", "--uts", "sh", "-c", setup, "sh"])
    except RuntimeError as error:
        pytest.skip(f"no namespaces here: {error}")
    yield one
    one.stop()


def test_identity_of_a_guest(guest):
    for name in ("cl-one", "cl-two", "cl-two"):
        assert init(guest, {"sandboxId": name, "templateId": "t9", "hostname": name, "entropy": "AAECAwQF"})[0] == 204
    assert guest.shell("hostname")[0] == b"cl-two\n"
    hosts = guest.shell("cat /etc/hosts")[0].decode()
    assert hosts.count("# wrenn") == 1 and "127.0.1.1 cl-two # wrenn\n" in hosts and "10.0.0.1 kept\n" in hosts
    markers = guest.shell("cd /run; for f in wrenn/.WRENN_SANDBOX wrenn/.WRENN_SANDBOX_ID wrenn/.WRENN_TEMPLATE_ID e2b/.E2B_SANDBOX "
                          "e2b/.E2B_SANDBOX_ID e2b/.E2B_TEMPLATE_ID; do cat $f; echo; done")[0]
    assert markers.split() == [b"true", b"cl-two", b"t9"] * 2
    assert guest.shell("echo $WRENN_SANDBOX $E2B_SANDBOX_ID")[0] == b"true cl-two\n"


def test_another_machine_is_another(guest):
    """The machine id follows the host's word; host keys go with the old one, and stay with the same."""
    keys = "cd /etc/ssh; for f in ssh_host_rsa_key ssh_host_rsa_key.pub; do echo shared >$f; done; echo kept >sshd_config"
    guest.shell(keys)
    for name, machine in (("cl-one", "1" * 32), ("cl-two", "2" * 32)):
        guest.shell("echo shared >/etc/ssh/ssh_host_rsa_key")
        assert init(guest, {"sandboxId": name, "machineId": machine})[0] == 204
        assert guest.shell("cat /etc/machine-id")[0].decode() == machine + "\n"
        assert b"shared" not in guest.shell("cat /etc/ssh/ssh_host_* 2>/dev/null; true")[0]
        assert guest.shell("cat /etc/ssh/sshd_config")[0] == b"kept\n"
    guest.shell("echo mine >/etc/ssh/ssh_host_ed25519_key")
    assert init(guest, {"sandboxId": "cl-two", "machineId": "2" * 32})[0] == 204  # resumed
    assert guest.shell("cat /etc/ssh/ssh_host_ed25519_key")[0] == b"mine\n"
    assert init(guest, {"sandboxId": "cl-nobody", "machineId": "0" * 32})[0] == 204  # before it is snapshotted
    assert guest.shell("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key")[0] == b"0" * 32 + b"\nmine\n"
    assert init(guest, {"sandboxId": "cl-two", "machineId": "2" * 32})[0] == 204
    assert b"mine" not in guest.shell("cat /etc/ssh/ssh_host_* 2>/dev/null; true")[0]
    # What is no machine id changes nothing.
    assert init(guest, {"sandboxId": "cl-three", "machineId": "../../x"})[0] == 400
    assert guest.shell("cat /etc/machine-id")[0] == b"2" * 32 + b"\n"


def test_new_host_keys_are_made(guest):
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed (openssh-client)")
    guest.shell("rm -f /etc/ssh/ssh_host_*; echo shared >/etc/ssh/ssh_host_ed25519_key")
    begin = time.monotonic()
    assert init(guest, {"sandboxId": "cl-one", "machineId": "1" * 32})[0] == 204
    assert time.monotonic() - begin < 1, "the answer does not wait for new keys"
    deadline = time.monotonic() + 60
    while b"PRIVATE KEY" not in guest.shell("cat /etc/ssh/ssh_host_ed25519_key 2>/dev/null; true")[0]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def may_lower_oom_score():
    return subprocess.run(["sh", "-c", "echo -1000 >/proc/self/oom_score_adj"], stderr=subprocess.DEVNULL).returncode == 0


def test_a_guest_protects_itself(guest):
    if not may_lower_oom_score():
        pytest.skip("this machine does not let root lower its oom_score_adj (CAP_SYS_RESOURCE)")
    with open(f"/proc/{guest.pid}/oom_score_adj") as score:
        assert score.read().strip() == "-1000"
    assert os.getpriority(os.PRIO_PROCESS, guest.pid) == -20
    assert guest.shell("cat /proc/self/oom_score_adj; nice")[0].split() == [b"100", b"0"]
