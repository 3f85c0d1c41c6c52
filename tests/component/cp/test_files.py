"""Files in and out of the guest."""
import hashlib
import http.client
import os
import socket

import pytest


@pytest.fixture(scope="module")
def capsule(shared):
    return shared.create()


@pytest.fixture
def guest(shared):
    guest = shared.agent.guest
    guest.read_breaks_after = guest.write_error = None
    guest.write_error_early = False
    return guest


@pytest.mark.parametrize("route", ["write", "stream/write"])
class TestWrite:
    def path(self, capsule, route):
        return f"/v1/capsules/{capsule}/files/{route}"

    @pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 1000, b"\r\n--b\r\n", os.urandom(3_000_000)])
    def test_exact_bytes(self, shared, capsule, guest, route, content):
        answer = shared.upload(self.path(capsule, route), [("path", None, b"/tmp/x"), ("file", "x", content)])
        assert (answer.status, answer.body) == (204, b"")
        assert guest.files["/tmp/x"] == content

    def test_names_of_any_kind(self, shared, capsule, guest, route):
        for name in ("/tmp/a b", "/tmp/ü&c=d?e#f%41", "relative/x"):
            assert shared.upload(self.path(capsule, route), [("path", None, name.encode()), ("file", "x", b"1")]).status == 204
            assert guest.files[name] == b"1"

    @pytest.mark.parametrize("parts,text", [([("path", None, b"/x")], "lacks the part `file`"),
                                            ([("file", "x", b"1")], "path"), ([], "path"),
                                            ([("path", None, b""), ("file", "x", b"1")], "path is required"),
                                            ([("path", None, b"a\0b"), ("file", "x", b"1")], "NUL"),
                                            ([("path", None, b"/x"), ("path", None, b"/y"), ("file", "x", b"1")], "more than one"),
                                            ([("path", None, b"/x"), ("file", "x", b"1"), ("file", "x", b"2")], "more than one")])
    def test_bad_forms(self, shared, capsule, guest, route, parts, text):
        answer = shared.upload(self.path(capsule, route), parts)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert text in answer.message

    def test_a_torn_form_writes_nothing(self, shared, capsule, guest, route):
        guest.files.pop("/tmp/torn", None)
        body = (b'--b\r\nContent-Disposition: form-data; name="path"\r\n\r\n/tmp/torn\r\n'
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + b"x" * 200_000)
        answer = shared.post(self.path(capsule, route), body, headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert answer.status == 400
        assert "/tmp/torn" not in guest.files

    def test_a_client_that_breaks_off_writes_nothing(self, shared, capsule, guest, route):
        guest.files.pop("/tmp/torn", None)
        connection = socket.create_connection(("127.0.0.1", shared.port))
        connection.sendall((f"POST {self.path(capsule, route)} HTTP/1.1\r\nHost: x\r\nX-API-Key: {shared.key}\r\n"
                            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n").encode())
        connection.sendall(b'--b\r\nContent-Disposition: form-data; name="path"\r\n\r\n/tmp/torn\r\n'
                           b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + b"x" * 200_000)
        connection.close()
        assert shared.upload(self.path(capsule, route), [("path", None, b"/tmp/ok"), ("file", "x", b"1")]).status == 204
        assert "/tmp/torn" not in guest.files

    @pytest.mark.parametrize("error,status,code", [((400, "invalid_argument"), 400, "invalid_request"),
                                                   ((507, "resource_exhausted"), 507, "resource_exhausted"),
                                                   ((403, "permission_denied"), 403, "forbidden")])
    def test_the_guest_refuses(self, shared, capsule, guest, route, error, status, code):
        guest.write_error = error
        answer = shared.upload(self.path(capsule, route), [("path", None, b"/tmp/x"), ("file", "x", b"1" * 100_000)])
        assert (answer.status, answer.code) == (status, code)

    def test_the_guest_refuses_before_it_has_everything(self, shared, capsule, guest, route):
        guest.write_error, guest.write_error_early = (507, "resource_exhausted"), True
        for size in (10, 1_000_000, 20_000_000):
            answer = shared.upload(self.path(capsule, route), [("path", None, b"/tmp/x"), ("file", "x", b"1" * size)])
            assert (answer.status, answer.code) in ((507, "resource_exhausted"), (503, "host_unavailable")), answer.body

    def test_not_running(self, shared, guest, route):
        capsule = shared.create()
        shared.post(f"/v1/capsules/{capsule}/pause")
        answer = shared.upload(self.path(capsule, route), [("path", None, b"/tmp/x"), ("file", "x", b"1")])
        assert (answer.status, answer.code) == (409, "invalid_state")


def test_the_file_before_its_path(shared, capsule, guest):
    small = [("file", "x", b"small"), ("path", None, b"/tmp/late")]
    large = [("file", "x", b"x" * (5 * 1024 * 1024)), ("path", None, b"/tmp/late")]
    path = f"/v1/capsules/{capsule}/files/"
    assert shared.upload(path + "write", small).status == 204
    assert guest.files.pop("/tmp/late") == b"small"
    for route, parts in (("write", large), ("stream/write", small), ("stream/write", large)):
        answer = shared.upload(path + route, parts)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert "before the part `file`" in answer.message
    assert "/tmp/late" not in guest.files


def test_write_has_a_limit_and_the_stream_has_none(shared, capsule, guest):
    content = os.urandom(1024) * (101 * 1024)
    parts = [("path", None, b"/tmp/big"), ("file", "x", content)]
    guest.files.pop("/tmp/big", None)
    try:
        answer = shared.upload(f"/v1/capsules/{capsule}/files/write", parts)
        assert (answer.status, answer.code) == (413, "too_large")
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused from its length; the answer may be lost to the bytes that were still under way
    assert "/tmp/big" not in guest.files
    assert shared.upload(f"/v1/capsules/{capsule}/files/stream/write", parts).status == 204
    assert hashlib.sha256(guest.files.pop("/tmp/big")).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("route", ["read", "stream/read"])
class TestRead:
    def read(self, shared, capsule, route, path):
        return shared.post(f"/v1/capsules/{capsule}/files/{route}", {"path": path})

    def test_exact_bytes(self, shared, capsule, guest, route):
        guest.files["/tmp/r"] = os.urandom(3_000_000)
        for path in ("/root/hello", "/root/empty", "/tmp/r"):
            answer = self.read(shared, capsule, route, path)
            assert (answer.status, answer.headers["Content-Type"]) == (200, "application/octet-stream")
            assert answer.body == guest.files[path]

    def test_missing(self, shared, capsule, guest, route):
        answer = self.read(shared, capsule, route, "/nothing")
        assert (answer.status, answer.code) == (404, "not_found")

    def test_a_directory(self, shared, capsule, guest, route):
        answer = self.read(shared, capsule, route, "/root")
        assert (answer.status, answer.code) == (400, "invalid_request")

    def test_a_break_in_the_middle_is_noticed(self, shared, capsule, guest, route):
        guest.files["/tmp/r"] = b"x" * 500_000
        guest.read_breaks_after = 100_000
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            self.read(shared, capsule, route, "/tmp/r")
        guest.read_breaks_after = None
        assert self.read(shared, capsule, route, "/tmp/r").body == guest.files["/tmp/r"]


def test_list(shared, capsule, guest):
    guest.requests.clear()
    answer = shared.post(f"/v1/capsules/{capsule}/files/list", {"path": "/root"})
    assert answer.status == 200
    entries = {one["name"]: one for one in answer.json["entries"]}
    assert entries["hello"] == {"name": "hello", "path": "/root/hello", "type": "file", "size": 6, "mode": 420,
                                "permissions": "-rw-r--r--", "owner": "root", "group": "root", "modified_at": 1700000000}
    assert entries["sub"]["type"] == "directory"
    assert entries["sock"]["type"] == "file"
    assert guest.requests[0][1] == {"path": "/root", "depth": 1}
    shared.post(f"/v1/capsules/{capsule}/files/list", {"path": "/root", "depth": 3})
    assert guest.requests[1][1]["depth"] == 3
    assert shared.post(f"/v1/capsules/{capsule}/files/list", {"path": "/nothing"}).code == "not_found"
    assert shared.post(f"/v1/capsules/{capsule}/files/list", {"path": "/root/hello"}).code == "invalid_request"


def test_mkdir(shared, capsule, guest):
    path = f"/v1/capsules/{capsule}/files/mkdir"
    answer = shared.post(path, {"path": "/tmp/new"})
    assert (answer.status, answer.json["entry"]["type"]) == (200, "directory")
    answer = shared.post(path, {"path": "/tmp/new"})
    assert (answer.status, answer.code) == (409, "conflict")
    answer = shared.post(path, {"path": "/root/hello"})
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_remove(shared, capsule, guest):
    guest.files["/tmp/gone"] = b""
    path = f"/v1/capsules/{capsule}/files/remove"
    assert shared.post(path, {"path": "/tmp/gone"}).status == 204
    answer = shared.post(path, {"path": "/tmp/gone"})
    assert (answer.status, answer.code) == (404, "not_found")
