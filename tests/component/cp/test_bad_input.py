"""Whatever comes in: a 4xx with the envelope that says what is wrong, never a 5xx, and the control plane lives on."""
import json
import socket

import pytest

CAPSULE = "cl-0000000000000000000000001"

ROUTES = [
    ("GET", "/v1/capsules/{id}"), ("DELETE", "/v1/capsules/{id}"), ("POST", "/v1/capsules/{id}/pause"),
    ("POST", "/v1/capsules/{id}/resume"), ("POST", "/v1/capsules/{id}/ping"), ("GET", "/v1/capsules/{id}/metrics"),
    ("POST", "/v1/capsules/{id}/exec"), ("GET", "/v1/capsules/{id}/exec/stream"), ("GET", "/v1/capsules/{id}/pty"),
    ("GET", "/v1/capsules/{id}/processes"), ("DELETE", "/v1/capsules/{id}/processes/7"),
    ("GET", "/v1/capsules/{id}/processes/7/stream"), ("POST", "/v1/capsules/{id}/files/write"),
    ("POST", "/v1/capsules/{id}/files/read"), ("POST", "/v1/capsules/{id}/files/stream/write"),
    ("POST", "/v1/capsules/{id}/files/stream/read"), ("POST", "/v1/capsules/{id}/files/list"),
    ("POST", "/v1/capsules/{id}/files/mkdir"), ("POST", "/v1/capsules/{id}/files/remove"),
    ("POST", "/v1/capsules/{id}/fork"), ("POST", "/v1/capsules/{id}/checkpoints"), ("GET", "/v1/capsules/{id}/checkpoints"),
    ("DELETE", "/v1/capsules/{id}/checkpoints/one"),
]
STREAMS = [path for method, path in ROUTES if path.endswith(("stream", "pty"))and method == "GET"]
JSON_ROUTES = ["exec", "fork", "checkpoints", "rollback", "files/read", "files/stream/read", "files/list", "files/mkdir", "files/remove"]


def check_envelope(answer):
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    assert set(answer.json) == {"error"}
    assert answer.code and answer.message
    assert answer.body.endswith(b"\n")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-Id"]


@pytest.fixture(scope="module")
def capsule(shared):
    return shared.create()


@pytest.mark.parametrize("bad", ["cl-x", "cl-" + "z" * 25, "cl-" + "0" * 24, "cl-" + "0" * 26, "CL-" + "0" * 25, "%00",
                                 "..", "team-" + "0" * 25, "%2e%2e%2fetc", "cl-" + "0" * 24 + "%C3%BC", "x" * 4000])
@pytest.mark.parametrize("method,path", ROUTES)
def test_bad_id(shared, method, path, bad):
    answer = shared.request(method, path.format(id=bad), body="{}" if method == "POST" else None)
    check_envelope(answer)
    assert (answer.status, answer.code) in ((400, "invalid_request"), (404, "not_found"))


@pytest.mark.parametrize("method,path", [route for route in ROUTES if route[1] not in STREAMS])
def test_unknown_capsule(shared, method, path):
    answer = shared.request(method, path.format(id=CAPSULE), body="{}" if method == "POST" else None)
    check_envelope(answer)
    assert (answer.status, answer.code, answer.message) == (404, "not_found", "sandbox not found")


@pytest.mark.parametrize("method,path", [route for route in ROUTES if route[1] not in STREAMS])
def test_capsule_of_another_team(shared, capsule, method, path):
    other = shared.add_key()
    answer = shared.request(method, path.format(id=capsule), body="{}" if method == "POST" else None, key=other)
    assert (answer.status, answer.code) == (404, "not_found")
    assert shared.get(f"/v1/capsules/{capsule}").json["status"] == "running"


MALFORMED = [b"{", b"[]", b'"text"', b"7", b"{}}", b'{"a":1,}', b"\xff\xfe", b'{"path":"\xff"}', b"nul",
             b"[" * 5000, b'{"path":' * 500, b'{"a":"' + b"x" * 100 + b'\x00"}']


@pytest.mark.parametrize("body", MALFORMED)
@pytest.mark.parametrize("route", JSON_ROUTES)
def test_malformed_json(shared, capsule, route, body):
    answer = shared.post(f"/v1/capsules/{capsule}/{route}", body)
    check_envelope(answer)
    assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize("body", MALFORMED)
def test_malformed_create(shared, body):
    answer = shared.post("/v1/capsules", body)
    check_envelope(answer)
    assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize("route,body,field", [
    ("exec", {"cmd": 7}, "cmd"), ("exec", {"cmd": "ls", "args": "x"}, "args"), ("exec", {"cmd": "ls", "args": [1]}, "args[0]"),
    ("exec", {"cmd": "ls", "envs": {"A": 1}}, "envs.A"), ("exec", {"cmd": "ls", "envs": []}, "envs"),
    ("exec", {"cmd": "ls", "timeout_sec": "30"}, "timeout_sec"), ("exec", {"cmd": "ls", "timeout_sec": -1}, "timeout_sec"),
    ("exec", {"cmd": "ls", "timeout_sec": 10**9}, "timeout_sec"), ("exec", {"cmd": "ls", "background": "yes"}, "background"),
    ("exec", {}, "cmd"), ("exec", {"cmd": ""}, "cmd"), ("exec", {"cmd": "a\0b"}, "NUL"),
    ("exec", {"cmd": "ls", "envs": {"A=B": "c"}}, "envs"),
    ("files/read", {}, "path"), ("files/read", {"path": ""}, "path"), ("files/read", {"path": 5}, "path"),
    ("files/read", {"path": "/a\0b"}, "NUL"), ("files/read", {"path": "x" * 5000}, "path"),
    ("files/list", {"path": "/", "depth": -1}, "depth"), ("files/list", {"path": "/", "depth": 2**33}, "depth"),
    ("files/list", {"path": "/", "depth": "1"}, "depth"), ("files/mkdir", {"path": []}, "path"),
    ("files/remove", {"path": None}, "path"),
    ("fork", {"count": 0}, "count"), ("fork", {"count": 101}, "count"), ("fork", {"count": -1}, "count"),
    ("fork", {"count": "2"}, "count"), ("fork", {"count": 10**18}, "count"), ("fork", {"timeout_sec": -1}, "timeout_sec"),
    ("fork", {"metadata": []}, "metadata"), ("fork", {"metadata": {"a": 1}}, "metadata.a"),
    ("fork", {"metadata": {"": "x"}}, "metadata"), ("fork", {"metadata": {"reason": "x"}}, "metadata"),
    ("fork", {"metadata": {"agent_version": "x"}}, "metadata"), ("fork", {"metadata": {"a": "x" * 513}}, "metadata.a"),
    ("fork", {"metadata": {str(i): "" for i in range(33)}}, "metadata"), ("fork", {"metadata": {"a": "\0"}}, "NUL"),
    ("checkpoints", {"name": 7}, "name"), ("checkpoints", {"name": "../x"}, "name"), ("checkpoints", {"name": "x" * 65}, "name"),
    ("checkpoints", {"name": "cp-" + "0" * 25}, "name"),
    ("rollback", {}, "checkpoint"), ("rollback", {"checkpoint": ""}, "checkpoint"), ("rollback", {"checkpoint": 7}, "checkpoint"),
])
def test_wrong_fields_are_named(shared, capsule, route, body, field):
    answer = shared.post(f"/v1/capsules/{capsule}/{route}", body)
    check_envelope(answer)
    assert answer.status == 400
    assert field in answer.message


@pytest.mark.parametrize("body,text", [
    ({"vcpus": 33}, "at most 32"), ({"memory_mb": 65537}, "from 128 to 65536"), ({"memory_mb": 1}, "from 128 to 65536"),
    ({"timeout_sec": -1}, "from 0"), ({"template": "../x"}, "template"), ({"template": 5}, "template"),
    ({"boot": "warm"}, "boot"), ({"boot": 7}, "boot"), ({"boot": "Cold"}, "boot"), ({"vcpus": "two"}, "vcpus"), ({"vcpus": 10**12}, "vcpus"), ({"memory_mb": 1.5}, "memory_mb"),
])
def test_create_bounds(shared, body, text):
    answer = shared.post("/v1/capsules", body)
    check_envelope(answer)
    assert answer.status == 400
    assert text in answer.message


def test_unknown_template(shared):
    answer = shared.post("/v1/capsules", {"template": "no-such-thing"})
    check_envelope(answer)
    assert (answer.status, answer.code) == (404, "not_found")
    assert "no-such-thing" in answer.message


@pytest.mark.parametrize("path,status", [("/", 404), ("/v1", 404), ("/v1/nothing", 404), ("/api/v2/capsules", 404),
                                         ("/v1/capsules/", 404), ("//v1/capsules", 404), ("/%", 404), ("/v1/%zz", 404)])
def test_unknown_route(shared, path, status):
    answer = shared.get(path)
    check_envelope(answer)
    assert answer.status == status


@pytest.mark.parametrize("method,path,allow", [("PUT", "/v1/capsules", {"GET", "POST"}),
                                               ("PATCH", "/v1/capsules/" + CAPSULE, {"GET", "DELETE"}),
                                               ("GET", f"/v1/capsules/{CAPSULE}/exec", {"POST"}),
                                               ("POST", "/health", {"GET"}), ("NONSENSE", "/health", {"GET"})])
def test_wrong_method(shared, method, path, allow):
    answer = shared.request(method, path)
    check_envelope(answer)
    assert answer.status == 405
    assert allow <= {one.strip() for one in answer.headers["Allow"].split(",")}


def test_too_large(shared, capsule):
    for path in ("/v1/capsules", f"/v1/capsules/{capsule}/exec", f"/v1/capsules/{capsule}/files/read"):
        answer = shared.post(path, json.dumps({"path": "x" * (5 * 1024 * 1024)}))
        check_envelope(answer)
        assert (answer.status, answer.code) == (413, "too_large")


def raw(shared, request):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize("request_bytes,status", [
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: 1\r\n" % i for i in range(500)) + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    (b"garbage\r\n\r\n", 400),
])
def test_bad_http_has_an_envelope_too(shared, request_bytes, status):
    answer = raw(shared, request_bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status), answer[:200]
    assert json.loads(body)["error"]["code"]


@pytest.mark.parametrize("query", ["range=7m", "range=", "range=10m%00", "range=1h%20"])
def test_bad_range(shared, capsule, query):
    answer = shared.get(f"/v1/capsules/{capsule}/metrics?{query}")
    check_envelope(answer)
    assert answer.status == 400


def test_bad_template_type(shared):
    answer = shared.get("/v1/snapshots?type=weird")
    check_envelope(answer)
    assert answer.status == 400


@pytest.mark.parametrize("query,body,text", [
    ("", {}, "sandbox_id"), ("", {"sandbox_id": ""}, "sandbox_id"), ("", {"sandbox_id": "cl-x"}, "sandbox_id"),
    ("", {"sandbox_id": 7}, "sandbox_id"), ("", {"sandbox_id": CAPSULE, "name": "../x"}, "name"),
    ("", {"sandbox_id": CAPSULE, "name": 7}, "name"), ("", {"sandbox_id": CAPSULE, "name": "x" * 65}, "name"),
    ("?overwrite=yes", {"sandbox_id": CAPSULE}, "overwrite"),
])
def test_bad_snapshots(shared, query, body, text):
    answer = shared.post("/v1/snapshots" + query, body)
    check_envelope(answer)
    assert answer.status == 400
    assert text in answer.message


@pytest.mark.parametrize("body", MALFORMED)
def test_malformed_snapshot(shared, body):
    answer = shared.post("/v1/snapshots", body)
    check_envelope(answer)
    assert answer.status == 400


@pytest.mark.parametrize("name,status", [("-x", 400), (".", 400), ("..%2f", 400), ("x" * 65, 400), ("%00", 400),
                                         ("minimal-debian", 403), ("no-such-thing", 404)])
def test_bad_template_to_delete(shared, name, status):
    shared.create()  # so that the templates are known
    answer = shared.delete("/v1/snapshots/" + name)
    check_envelope(answer)
    assert answer.status == status


def test_rollback_of_no_capsule(shared, capsule):
    answer = shared.post(f"/v1/capsules/{CAPSULE}/rollback", {"checkpoint": "x"})
    assert (answer.status, answer.code, answer.message) == (404, "not_found", "sandbox not found")
    answer = shared.post(f"/v1/capsules/{capsule}/rollback", {"checkpoint": "x"}, key=shared.add_key())
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("selector", ["4294967296", "99999999999999999999", "%00"])
def test_bad_selector(shared, capsule, selector):
    answer = shared.delete(f"/v1/capsules/{capsule}/processes/{selector}")
    check_envelope(answer)
    assert answer.status == 400


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_without_an_upgrade(shared, capsule, path):
    answer = shared.get(path.format(id=capsule))
    check_envelope(answer)
    assert answer.status == 400


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=",
                                          "multipart/mixed; boundary=x", "multipart/form-data; boundary=" + "x" * 100])
@pytest.mark.parametrize("route", ["write", "stream/write"])
def test_no_form(shared, capsule, route, content_type):
    answer = shared.post(f"/v1/capsules/{capsule}/files/{route}", b"--x--\r\n", headers={"Content-Type": content_type})
    check_envelope(answer)
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_it_still_lives(shared):
    assert shared.get("/health").json["status"] == "ok"
    assert shared.process.poll() is None
