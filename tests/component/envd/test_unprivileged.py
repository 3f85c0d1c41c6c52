"""envd on a plain machine as an ordinary user."""

import json
import os
import shutil

import pytest

from envd import Envd, RpcError, basic, command


@pytest.fixture(scope="module", params=["nobody", "12345"])
def user_envd(request, tmp_path_factory):
    """As a user with an account, and as a number without one."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become an ordinary user")
    place = tmp_path_factory.mktemp("program")
    for folder in (place, *list(place.parents)[:3]):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    program = shutil.copy(command()[0], place / "wrenn")
    os.chmod(program, 0o755)
    wrap = ["setpriv", f"--reuid={request.param}", "--regid=65534", "--clear-groups"]
    one = Envd(wrap=wrap, program=[program, "envd", "--host", "127.0.0.1"], env={"PATH": os.environ["PATH"], "HOME": "/tmp"})
    yield one, request.param
    one.stop()


def test_processes_run_as_that_user(user_envd):
    envd, name = user_envd
    out, err, end = envd.shell("id -u; id -G; cat /proc/self/oom_score_adj; pwd; echo $USER")
    assert end["exitCode"] == 0, err
    uid, groups, score, _, user = out.decode().split("\n")[:5]
    assert uid == {"nobody": "65534"}.get(name, name) and groups == "65534" and int(score) >= 100 and user == name
    assert envd.shell("echo named", headers=basic(name))[0] == b"named\n"
    stream = envd.start("/bin/sh", ["-c", "tty; exit 3"], pty=(80, 24))
    stream.start()
    *_, pty, end = stream.collect()
    assert pty.startswith(b"/dev/pts/") and end["exitCode"] == 3


def test_other_users_are_out_of_reach(user_envd):
    envd, _ = user_envd
    with pytest.raises(RpcError) as error:
        envd.start("id", headers=basic("root")).start()
    assert error.value.code == "permission_denied" and "root" in error.value.message
    assert envd.processes() == []


def test_endpoints(user_envd, tmp_path):
    envd, _ = user_envd
    for path in ("/health", "/metrics", "/envs"):
        assert envd.request("GET", path)[0] == 200
    assert envd.request("POST", "/init", json.dumps({"envVars": {"A": "b"}}), {"Content-Type": "application/json"})[0] == 204
    assert envd.shell("echo $A")[0] == b"b\n"
    tmp_path.chmod(0o777)
    for folder in list(tmp_path.parents)[:3]:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    target = tmp_path / "file"
    status, _, body = envd.request("POST", f"/files?path={target}", b"data", {"Content-Type": "application/octet-stream"})
    assert status == 200, body
    assert envd.request("GET", f"/files?path={target}")[2] == b"data"
