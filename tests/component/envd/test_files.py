"""GET and POST /files."""

import grp
import hashlib
import http.client
import json
import os
import pwd
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from envd import basic, wait_until

OCTETS = {"Content-Type": "application/octet-stream"}


def url(path, **more):
    return "/files?" + urllib.parse.urlencode({"path": path, **more})


def put(envd, path, data, headers=None, **more):
    return envd.request("POST", url(path, **more), data, {**OCTETS, **(headers or {})})


def form(parts, boundary="XX"):
    body = b""
    for name, filename, data in parts:
        filename = "" if filename is None else f'; filename="{filename}"'
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def leftovers(folder):
    return [name for name in os.listdir(folder) if name.startswith(".wrenn-upload")]


def test_round_trip(envd, tmp_path):
    path = str(tmp_path / "a.txt")
    status, headers, body = put(envd, path, b"hello")
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    assert json.loads(body) == [{"path": path, "name": "a.txt", "type": "file"}]
    assert os.stat(path).st_mode & 0o7777 == 0o644
    status, headers, body = envd.request("GET", url(path))
    assert (status, body) == (200, b"hello")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Disposition"] == 'inline; filename="a.txt"'
    assert headers["Content-Length"] == "5" and headers["Vary"] == "Accept-Encoding"
    assert leftovers(tmp_path) == []


def test_empty_file(envd, tmp_path):
    path = str(tmp_path / "empty")
    assert put(envd, path, b"")[0] == 200
    status, headers, body = envd.request("GET", url(path))
    assert (status, headers["Content-Length"], body) == (200, "0", b"")


@pytest.mark.parametrize("size", [1, 65535, 65536, 262143, 262144, 262145, 524288, 1000000])
def test_sizes_around_the_buffers(envd, tmp_path, size):
    path, data = str(tmp_path / "f"), os.urandom(size)
    assert put(envd, path, data)[0] == 200
    assert open(path, "rb").read() == data
    assert envd.request("GET", url(path))[2] == data
    body, headers = form([("file", "f2", data)])
    assert envd.request("POST", url(str(tmp_path / "f2")), body, headers)[0] == 200
    assert open(tmp_path / "f2", "rb").read() == data


def test_100_mib_with_flat_memory(fresh, tmp_path):
    path = str(tmp_path / "big")
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()

    def blocks():
        for i in range(100):
            piece = i.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            yield piece

    status, _, _ = fresh.request("POST", url(path), blocks(), OCTETS)  # an iterable is sent in chunks
    assert status == 200
    assert hashlib.sha256(open(path, "rb").read()).hexdigest() == digest.hexdigest()
    conn = http.client.HTTPConnection("127.0.0.1", fresh.port)
    conn.request("GET", url(path))
    response = conn.getresponse()
    got = hashlib.sha256()
    while piece := response.read(1 << 20):
        got.update(piece)
    conn.close()
    assert got.hexdigest() == digest.hexdigest()
    assert fresh.resident_kib("VmHWM") < 16 * 1024


@pytest.mark.parametrize("field,expected,content_range", [
    ("bytes=0-3", b"0123", "bytes 0-3/10"),
    ("bytes=5-", b"56789", "bytes 5-9/10"),
    ("bytes=-3", b"789", "bytes 7-9/10"),
    ("bytes=8-100", b"89", "bytes 8-9/10"),
    ("bytes=-100", b"0123456789", "bytes 0-9/10"),
])
def test_range(envd, tmp_path, field, expected, content_range):
    path = tmp_path / "digits"
    path.write_bytes(b"0123456789")
    status, headers, body = envd.request("GET", url(str(path)), headers={"Range": field})
    assert (status, body, headers["Content-Range"]) == (206, expected, content_range)


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=-0", "bytes=99-100"])
def test_range_outside(envd, tmp_path, field):
    path = tmp_path / "digits"
    path.write_bytes(b"0123456789")
    status, headers, _ = envd.request("GET", url(str(path)), headers={"Range": field})
    assert (status, headers["Content-Range"]) == (416, "bytes */10")


@pytest.mark.parametrize("field", ["bytes=3-1", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=", "bytes=-"])
def test_range_that_is_ignored(envd, tmp_path, field):
    path = tmp_path / "digits"
    path.write_bytes(b"0123456789")
    assert envd.request("GET", url(str(path)), headers={"Range": field})[::2] == (200, b"0123456789")


def test_conditions(envd, tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b"0123456789")
    _, headers, _ = envd.request("GET", url(str(path)))
    modified = headers["Last-Modified"]
    assert envd.request("GET", url(str(path)), headers={"If-Modified-Since": modified})[0] == 304
    os.utime(path, (1, os.stat(path).st_mtime + 10))
    assert envd.request("GET", url(str(path)), headers={"If-Modified-Since": modified})[0] == 200
    assert envd.request("GET", url(str(path)), headers={"If-Range": modified, "Range": "bytes=0-1"})[0] == 200


def test_a_big_range(envd, tmp_path):
    data = os.urandom(3 << 20)
    (tmp_path / "b").write_bytes(data)
    status, _, body = envd.request("GET", url(str(tmp_path / "b")), headers={"Range": "bytes=1000000-2999999"})
    assert status == 206 and body == data[1000000:3000000]


def test_files_without_a_size(envd):
    assert envd.request("GET", url("/proc/self/status"))[2].startswith(b"Name:")


def test_get_errors(envd, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, expected in ((tmp_path / "none", 404), (tmp_path, 400), (tmp_path / "fifo", 400), ("/dev/null", 400),
                           ("a\0b", 400), ("x" * 5000, 400), ("/" + "x" * 300, 400), ("~other/x", 400)):
        status, _, body = envd.request("GET", url(str(path)))
        answer = json.loads(body)
        assert status == expected and answer["code"] == expected and answer["message"], (path, answer)
    assert json.loads(envd.request("GET", url(str(tmp_path / "none")))[2])["message"] == f"path '{tmp_path}/none' does not exist"


def test_parents_are_made(envd, tmp_path):
    path = str(tmp_path / "a" / "b" / "c.bin")
    assert put(envd, path, b"x")[0] == 200
    assert os.stat(tmp_path / "a" / "b").st_mode & 0o7777 == 0o755


def test_overwrite_keeps_mode_and_replaces_at_once(envd, tmp_path):
    path = tmp_path / "script"
    path.write_bytes(b"old")
    path.chmod(0o750)
    old = os.open(path, os.O_RDONLY)
    assert put(envd, str(path), b"new")[0] == 200
    assert os.read(old, 10) == b"old" and path.read_bytes() == b"new"
    os.close(old)
    assert os.stat(path).st_mode & 0o7777 == 0o750


def test_links_are_followed(envd, tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("later")
    (tmp_path / "loop").symlink_to("loop")
    assert put(envd, str(tmp_path / "link"), b"new")[0] == 200
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    assert put(envd, str(tmp_path / "dangling"), b"x")[0] == 200
    assert (tmp_path / "later").read_bytes() == b"x" and (tmp_path / "dangling").is_symlink()
    assert put(envd, str(tmp_path / "loop"), b"x")[0] == 400


def test_post_errors(envd, tmp_path):
    (tmp_path / "file").write_bytes(b"keep")
    for path, expected in ((tmp_path, 400), (tmp_path / "file" / "x", 400), ("/dev/null", 400), (str(tmp_path) + "/" + "n" * 300, 400)):
        status, _, body = put(envd, str(path), b"x")
        assert status == expected and json.loads(body)["code"] == expected, (path, body)
    assert envd.request("POST", "/files", b"x", OCTETS)[0] == 400
    assert envd.request("POST", url(str(tmp_path / "t")), b"x", {"Content-Type": "text/plain"})[0] == 400
    assert put(envd, str(tmp_path / "t"), b"x", {"Content-Encoding": "br"})[0] == 400
    assert (tmp_path / "file").read_bytes() == b"keep" and sorted(os.listdir(tmp_path)) == ["file"]
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")


def test_relative_and_home_paths(envd, tmp_path):
    for path in ("wrenn-envd-test", "~/wrenn-envd-test", "./x/../wrenn-envd-test"):
        status, _, body = put(envd, path, b"home")
        assert status == 200 and json.loads(body)[0]["path"] == "/root/wrenn-envd-test"
        os.unlink("/root/wrenn-envd-test")


def test_traversal_stays_in_the_file_system(envd, tmp_path):
    # Who holds the token may read any file of the guest; a path must still mean what the rules say.
    assert envd.request("GET", url("../../../../../../etc/hostname"))[0] in (200, 404)
    status, _, body = put(envd, "../.." + str(tmp_path) + "/t", b"x")
    assert status == 200 and json.loads(body)[0]["path"] == str(tmp_path / "t")
    body, headers = form([("file", "../../../" + str(tmp_path) + "/t2", b"x")])
    assert envd.request("POST", "/files", body, headers)[0] == 200 and (tmp_path / "t2").exists()


def test_form_with_several_parts(envd, tmp_path):
    a, b = str(tmp_path / "a"), str(tmp_path / "sub" / "b")
    body, headers = form([("other", "x", b"skipped"), ("file", a, b"A"), ("note", None, b"n"), ("file", b, b"B" * 100000)])
    status, _, answer = envd.request("POST", "/files", body, headers)
    assert status == 200
    assert json.loads(answer) == [{"path": a, "name": "a", "type": "file"}, {"path": b, "name": "b", "type": "file"}]
    assert open(b, "rb").read() == b"B" * 100000


def test_form_errors(envd, tmp_path):
    a = str(tmp_path / "a")
    for parts, more in (([("file", a, b"1"), ("file", a, b"2")], {}), ([("nofile", a, b"1")], {}), ([("file", None, b"1")], {}), ([], {})):
        body, headers = form(parts)
        status, _, answer = envd.request("POST", "/files", body, headers)
        assert status == 400, (parts, answer)
    body, headers = form([("file", None, b"by path")])
    assert envd.request("POST", url(a), body, headers)[0] == 200 and open(a, "rb").read() == b"by path"
    assert os.listdir(tmp_path) == ["a"]
    assert envd.request("POST", "/files", body, {"Content-Type": "multipart/form-data"})[0] == 400


def raw_upload(envd, path, fields, body):
    conn = socket.create_connection(("127.0.0.1", envd.port))
    head = f"POST {url(path)} HTTP/1.1\r\nHost: envd\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
    conn.sendall(head.encode() + body)
    return conn


def test_truncated_uploads_leave_nothing(envd, tmp_path):
    body, multipart = form([("file", "f", b"z" * 1000)])
    cases = [
        ({**OCTETS, "Content-Length": "1000000"}, b"x" * 500000),
        ({**OCTETS, "Transfer-Encoding": "chunked"}, b"7a120\r\n" + b"x" * 500000 + b"\r\n"),
        ({**multipart, "Content-Length": "100000"}, body[:500]),
    ]
    for fields, sent in cases:
        path = tmp_path / "new" / "cut"
        conn = raw_upload(envd, str(path), fields, sent)
        wait_until(lambda: leftovers(tmp_path / "new") if (tmp_path / "new").exists() else False, what="the upload has begun")
        conn.close()
        wait_until(lambda: not (tmp_path / "new").exists(), what="nothing is left, not even the directory")


def test_form_without_its_end_is_an_error(envd, tmp_path):
    body, headers = form([("file", str(tmp_path / "f"), b"z" * 1000)])
    for cut in (3, 8, 20, 600):
        status, _, answer = envd.request("POST", "/files", body[:-cut], headers)
        assert status == 400 and json.loads(answer)["code"] == 400
    assert os.listdir(tmp_path) == []


def test_truncated_upload_keeps_the_old_file(envd, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    conn = raw_upload(envd, str(path), {**OCTETS, "Content-Length": "1000000"}, b"x" * 500000)
    wait_until(lambda: leftovers(tmp_path), what="the upload has begun")
    conn.close()
    wait_until(lambda: not leftovers(tmp_path), what="the temporary file is gone")
    assert path.read_bytes() == b"old"


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]).returncode != 0:
        pytest.skip("cannot mount a small tmpfs (needs root)")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_full_disk(envd, small_disk):
    path = small_disk / "sub" / "big"
    data = b"x" * (8 << 20)

    def pieces():
        for i in range(8):
            yield data[:1 << 20]

    for body, fields in ((data, OCTETS), (pieces(), OCTETS), form([("file", "f", data)])):
        status, _, answer = envd.request("POST", url(str(path)), body, fields)
        assert status == 507
        assert json.loads(answer) == {"code": 507, "message": "not enough disk space available"}
        assert os.listdir(small_disk) == []
    assert put(envd, str(path), b"fits")[0] == 200


def test_user_owns_what_they_upload(envd, tmp_path):
    tmp_path.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    for fields, more in ((basic("nobody"), {}), ({}, {"username": "nobody"})):
        path = tmp_path / "d" / "f"
        assert put(envd, str(path), b"x", fields, **more)[0] == 200
        for made in (path, path.parent):
            assert (os.stat(made).st_uid, os.stat(made).st_gid) == (nobody.pw_uid, nobody.pw_gid)
        os.unlink(path)
        os.rmdir(path.parent)
    # Somebody else's file: root keeps its owner, another user takes it.
    path = tmp_path / "g"
    path.write_bytes(b"")
    os.chown(path, 12345, 12345)
    assert put(envd, str(path), b"x")[0] == 200 and os.stat(path).st_uid == 12345
    assert put(envd, str(path), b"x", username="nobody")[0] == 200 and os.stat(path).st_uid == nobody.pw_uid


def test_unknown_user(envd, tmp_path):
    for path, method in ((url(str(tmp_path / "f"), username="nobody-at-all"), "GET"), (url(str(tmp_path / "f"), username="x"), "POST")):
        status, _, body = envd.request(method, path, b"x" if method == "POST" else None, OCTETS)
        assert status == 401 and "invalid username" in json.loads(body)["message"]
    assert os.listdir(tmp_path) == []


def test_names_with_odd_characters(envd, tmp_path):
    for name in ("ä ö.txt", "a\"b\\c", "a;b=c&d", "new\nline", "100%"):
        path = str(tmp_path / name)
        assert put(envd, path, name.encode())[0] == 200
        status, headers, body = envd.request("GET", url(path))
        assert status == 200 and body == name.encode() and "\n" not in headers["Content-Disposition"]


def test_parallel_uploads_to_one_path_leave_one_of_them(envd, tmp_path):
    path = tmp_path / "f"
    threads = [threading.Thread(target=put, args=(envd, str(path), bytes([65 + n]) * 300000)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = path.read_bytes()
    assert len(data) == 300000 and len(set(data)) == 1 and leftovers(tmp_path) == []
