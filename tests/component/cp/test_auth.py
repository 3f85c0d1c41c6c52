"""Who may ask."""
import secrets
import time

import pytest
from websocket import Refused

KEYED = [("GET", "/v1/capsules"), ("POST", "/v1/capsules"), ("GET", "/v1/snapshots"),
         ("GET", "/v1/capsules/cl-0000000000000000000000001"), ("GET", "/api/v1/capsules")]


@pytest.mark.parametrize("method,path", KEYED)
def test_no_key(shared, method, path):
    answer = shared.request(method, path, key=None)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.message == "X-API-Key or Authorization: Bearer <token> required"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["wrn_" + "0" * 32, "wrn_", "x", "wrn_" + "0" * 31, "' OR 1=1 --", "wrn_" + "A" * 32])
def test_wrong_key(shared, key):
    answer = shared.get("/v1/capsules", key=key)
    assert (answer.status, answer.code, answer.message) == (401, "unauthorized", "invalid API key")


@pytest.mark.parametrize("field", ["Bearer wrn_" + "0" * 32, "Bearer", "Basic YTpi", "Bearer x.y.z", "wrn_" + "0" * 32])
def test_wrong_bearer(shared, field):
    answer = shared.get("/v1/capsules", key=None, headers={"Authorization": field})
    assert (answer.status, answer.code) == (401, "unauthorized")


def test_key_as_bearer(shared):
    for scheme in ("Bearer", "bearer"):
        assert shared.get("/v1/capsules", key=None, headers={"Authorization": f"{scheme} {shared.key}"}).status == 200


def test_the_key_field_wins(shared):
    assert shared.get("/v1/capsules", headers={"Authorization": "Bearer nonsense"}).status == 200
    answer = shared.get("/v1/capsules", key="wrn_" + "0" * 32, headers={"Authorization": f"Bearer {shared.key}"})
    assert answer.status == 401


@pytest.mark.parametrize("path", ["/health", "/openapi.yaml", "/metrics"])
def test_open_routes(shared, path):
    assert shared.get(path, key=None).status == 200


def test_teams_do_not_see_each_other(shared):
    other = shared.add_key()
    mine = shared.create()
    assert mine not in [one["id"] for one in shared.get("/v1/capsules", key=other).json]
    assert mine in [one["id"] for one in shared.get("/v1/capsules").json]
    assert shared.delete(f"/v1/capsules/{mine}", key=other).status == 404
    assert shared.delete(f"/v1/capsules/{mine}").status == 204


def test_use_of_a_key_is_written_down(shared):
    key = shared.add_key()
    assert shared.get("/v1/capsules", key=key).status == 200
    deadline = time.monotonic() + 10
    used = None
    while not used:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        with shared.database() as database:
            used = database.execute("SELECT last_used FROM team_api_keys WHERE key_prefix = ?", (key[:10],)).fetchone()[0]
    assert abs(used / 1e6 - time.time()) < 60


@pytest.fixture(scope="module")
def path(shared):
    return f"/v1/capsules/{shared.create()}/exec/stream"


class TestStreams:
    @pytest.mark.parametrize("mirror", ["/v1/capsules/", "/v1/admin/capsules/"])
    @pytest.mark.parametrize("stream", ["exec/stream", "pty", "processes/7/stream"])
    def test_wrong_key_in_the_upgrade(self, shared, path, mirror, stream):
        with pytest.raises(Refused) as refused:
            shared.socket(path.replace("/v1/capsules/", mirror).replace("exec/stream", stream), key="wrn_" + secrets.token_hex(16))
        assert refused.value.status == 401

    def test_key_in_the_first_message(self, shared, path):
        socket = shared.socket(path, key=None)
        socket.send({"type": "auth", "token": shared.key})
        socket.send({"type": "start", "cmd": "x"})
        assert socket.all()[-1] == {"type": "exit", "exit_code": 0}

    @pytest.mark.parametrize("message", [{"type": "auth", "token": "wrn_" + "0" * 32}, {"type": "auth"},
                                         {"type": "start", "cmd": "x"}, {"type": "auth", "token": 7}, "nonsense", "[]"])
    def test_no_good_first_message(self, shared, path, message):
        socket = shared.socket(path, key=None)
        socket.send(message)
        messages = socket.all()
        assert len(messages) == 1
        assert (messages[0]["type"], messages[0]["data"]) == ("error", "authentication failed")

    def test_silence(self, shared, path):
        socket = shared.socket(path, key=None, timeout=15)
        assert socket.all() == [{"type": "error", "data": "authentication failed"}]

    def test_a_leading_auth_message_is_skipped_when_the_upgrade_had_a_key(self, shared, path):
        socket = shared.socket(path)
        socket.send({"type": "auth", "token": "whatever"})
        socket.send({"type": "start", "cmd": "x"})
        assert socket.all()[-1] == {"type": "exit", "exit_code": 0}

    def test_another_teams_capsule(self, shared, path):
        socket = shared.socket(path, key=shared.add_key())
        socket.send({"type": "start", "cmd": "x"})
        assert socket.all() == [{"type": "error", "data": "sandbox not found"}]
