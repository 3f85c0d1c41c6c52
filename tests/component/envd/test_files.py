"""GET and POST /files."""

import base64
import grp
import gzip
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

from envd import Envd, basic, wait_until

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
        ({**OCTETS, "Content-Length": "1000000", "Content-Encoding": "gzip"}, gzip.compress(os.urandom(900000))[:600000]),
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


# --- gzip ---

def raw_get(envd, path, **fields):
    """Without the Accept-Encoding: identity that http.client adds."""
    conn = http.client.HTTPConnection("127.0.0.1", envd.port)
    conn.putrequest("GET", url(str(path)), skip_accept_encoding=True)
    for name, value in {**envd.headers, **fields}.items():
        conn.putheader(name.replace("_", "-"), value)
    conn.endheaders()
    response = conn.getresponse()
    body = response.read()
    conn.close()
    return response.status, response.headers, body


@pytest.mark.parametrize("size", [1, 1000, 262143, 262144, 262145, 3 << 20])
def test_gzip_download(envd, tmp_path, size):
    data = (os.urandom(500) + bytes(500)) * (size // 1000 + 1)
    (tmp_path / "f.txt").write_bytes(data[:size])
    status, headers, body = raw_get(envd, tmp_path / "f.txt", Accept_Encoding="gzip, deflate")
    assert (status, headers["Content-Encoding"], headers["Vary"]) == (200, "gzip", "Accept-Encoding")
    assert headers["Content-Type"] == "text/plain; charset=utf-8" and gzip.decompress(body) == data[:size]


def test_gzip_only_when_it_is_asked_for(envd, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"data")
    for field in (None, "identity", "gzip;q=0", "br", "identity;q=1, gzip;q=0.5"):
        status, headers, body = raw_get(envd, path, **({"Accept_Encoding": field} if field else {}))
        assert (status, headers["Content-Encoding"], headers["Content-Length"], body) == (200, None, "4", b"data"), field
    (tmp_path / "empty").write_bytes(b"")
    status, headers, body = raw_get(envd, tmp_path / "empty", Accept_Encoding="gzip")
    assert (status, headers["Content-Length"], headers["Content-Encoding"], body) == (200, "0", None, b"")
    assert gzip.decompress(raw_get(envd, tmp_path / "empty", Accept_Encoding="gzip, identity;q=0")[2]) == b""
    assert gzip.decompress(raw_get(envd, "/proc/self/status", Accept_Encoding="gzip")[2]).startswith(b"Name:")


def test_no_coding_is_acceptable(envd, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"data")
    for fields in ({"Accept_Encoding": "identity;q=0"}, {"Accept_Encoding": "*;q=0, br"},
                   {"Accept_Encoding": "gzip, identity;q=0", "Range": "bytes=0-1"}):
        status, _, body = raw_get(envd, path, **fields)
        assert status == 406 and json.loads(body)["message"] == "no acceptable encoding found, supported: [identity, gzip]"


def test_ranges_and_conditions_are_of_the_bytes_themselves(envd, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    status, headers, body = raw_get(envd, path, Accept_Encoding="gzip", Range="bytes=2-4")
    assert (status, headers["Content-Encoding"], body) == (206, None, b"234")
    modified = headers["Last-Modified"]
    assert raw_get(envd, path, Accept_Encoding="gzip", If_Modified_Since=modified)[0] == 304


def test_gzip_upload(envd, tmp_path):
    path, data = str(tmp_path / "f"), os.urandom(300000) + bytes(700000)
    packed = {"Content-Encoding": "gzip"}
    for body in (gzip.compress(data), gzip.compress(data[:400000]) + gzip.compress(data[400000:])):
        assert put(envd, path, body, packed)[0] == 200 and open(path, "rb").read() == data
    assert put(envd, path, gzip.compress(b""), packed)[0] == 200 and open(path, "rb").read() == b""
    # A form that is packed as a whole, as HTTP has it, and one whose parts are.
    body, fields = form([("file", path, data), ("file", path + "2", b"two")])
    assert envd.request("POST", "/files", gzip.compress(body), {**fields, **packed})[0] == 200
    assert open(path, "rb").read() == data and open(path + "2", "rb").read() == b"two"
    body, fields = form([("file", path, gzip.compress(b"a" * 99999)), ("file", path + "2", gzip.compress(b"b"))])
    assert envd.request("POST", "/files", body, {**fields, **packed})[0] == 200
    assert open(path, "rb").read() == b"a" * 99999 and open(path + "2", "rb").read() == b"b"


def test_bad_gzip_uploads(envd, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    good = gzip.compress(os.urandom(1000))
    for body in (b"", b"plain text", good[:-1], good[:5], good[:-8] + bytes(8), good + b"more"):
        status, _, answer = put(envd, str(path), body, {"Content-Encoding": "gzip"})
        assert status == 400 and "gzip" in json.loads(answer)["message"], body
    multi, fields = form([("file", str(path), good[:-1])])
    assert envd.request("POST", "/files", multi, {**fields, "Content-Encoding": "gzip"})[0] == 400
    assert envd.request("POST", "/files", gzip.compress(multi)[:-20], {**fields, "Content-Encoding": "gzip"})[0] == 400
    for coding in ("br", "deflate", "gzip, gzip"):
        assert put(envd, str(path), good, {"Content-Encoding": coding})[0] == 400
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


def test_a_decompression_bomb_costs_disk_only(fresh, tmp_path):
    bomb = gzip.compress(bytes(200 << 20), 9)  # some 200 KiB
    assert len(bomb) < 1 << 20
    assert put(fresh, str(tmp_path / "f"), bomb, {"Content-Encoding": "gzip"})[0] == 200
    assert os.stat(tmp_path / "f").st_size == 200 << 20
    assert gzip.decompress(raw_get(fresh, tmp_path / "f", Accept_Encoding="gzip")[2]) == bytes(200 << 20)
    assert fresh.resident_kib("VmHWM") < 16 * 1024


def test_a_decompression_bomb_on_a_small_disk(envd, small_disk):
    bomb = gzip.compress(bytes(64 << 20), 9)
    status, _, answer = put(envd, str(small_disk / "f"), bomb, {"Content-Encoding": "gzip"})
    assert status == 507 and json.loads(answer)["code"] == 507 and os.listdir(small_disk) == []


# --- metadata ---

def stat_metadata(envd, path):
    return envd.call("filesystem.Filesystem/Stat", {"path": str(path)})["entry"].get("metadata")


def test_metadata(envd, tmp_path):
    path = tmp_path / "f"
    try:
        path.touch()
        os.setxattr(path, "user.other", b"kept")
    except OSError:
        pytest.skip("the file system of the tests keeps no extended attributes")
    fields = {"X-Metadata-Author": "Ann", "x-metadata-BUILD-id": "7 up"}
    expected = {"author": "Ann", "build-id": "7 up"}
    status, _, body = put(envd, str(path), b"1", fields)
    assert status == 200 and json.loads(body) == [{"path": str(path), "name": "f", "type": "file", "metadata": expected}]
    assert stat_metadata(envd, path) == expected
    assert os.getxattr(path, "user.e2b.author") == b"Ann" and os.getxattr(path, "user.other") == b"kept"
    (tmp_path / "link").symlink_to("f")
    entries = envd.call("filesystem.Filesystem/ListDir", {"path": str(tmp_path)})["entries"]
    assert [entry.get("metadata") for entry in entries] == [expected, expected]
    moved = envd.call("filesystem.Filesystem/Move", {"source": str(path), "destination": str(tmp_path / "g")})["entry"]
    assert moved["metadata"] == expected
    # Each upload has all of it.
    assert put(envd, str(tmp_path / "g"), b"2", {"X-Metadata-Other": "x"})[0] == 200
    assert stat_metadata(envd, tmp_path / "g") == {"other": "x"}
    assert put(envd, str(tmp_path / "g"), b"3")[0] == 200
    assert stat_metadata(envd, tmp_path / "g") is None
    body, multipart = form([("file", str(tmp_path / "a"), b"1"), ("file", str(tmp_path / "b"), b"2")])
    answer = json.loads(envd.request("POST", "/files", body, {**multipart, "X-Metadata-K": "v"})[2])
    assert [item["metadata"] for item in answer] == [{"k": "v"}, {"k": "v"}]
    # Whatever programs of the guest write there.
    os.setxattr(tmp_path / "a", "user.e2b.odd", b"\xff\xfe" + b"z" * 2000)
    assert stat_metadata(envd, tmp_path / "a")["odd"].startswith("\ufffd")


def test_metadata_where_there_cannot_be_any(envd, tmp_path):
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "ramfs", "ramfs", str(tmp_path)]).returncode != 0:
        pytest.skip("cannot mount a ramfs (needs root)")
    try:
        status, _, answer = put(envd, str(tmp_path / "f"), b"x", {"X-Metadata-K": "v"})
        assert status == 400 and "extended attributes" in json.loads(answer)["message"] and os.listdir(tmp_path) == []
        assert put(envd, str(tmp_path / "f"), b"x")[0] == 200 and stat_metadata(envd, tmp_path / "f") is None
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_metadata_errors(envd, tmp_path):
    path = str(tmp_path / "f")
    for fields in ({"X-Metadata-": "v"}, {"X-Metadata-" + "k" * 247: "v"}, {"X-Metadata-k": "caf\xe9"}, {"X-Metadata-k": "v" * 4090},
                   {f"X-Metadata-{i}": "v" * 500 for i in range(9)}):
        status, _, answer = put(envd, path, b"x", fields)
        assert status == 400 and "X-Metadata" in json.loads(answer)["message"]
    assert os.listdir(tmp_path) == []


# --- signed URLs ---

TOKEN = "0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0"


def sign(path, operation, user="", expiration=None):
    text = f"{path}:{operation}:{user}:{TOKEN}" + ("" if expiration is None else f":{expiration}")
    return "v1_" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture(scope="module")
def secured():
    one = Envd()
    assert one.request("POST", "/init", json.dumps({"accessToken": TOKEN}), {"Content-Type": "application/json"})[0] == 204
    yield one
    one.stop()


def refusal(answer):
    status, _, body = answer
    assert status == 401 and json.loads(body)["code"] == 401
    return json.loads(body)["message"]


def test_signed_urls(secured, tmp_path):
    path, soon = str(tmp_path / "a b+c%ä.txt"), int(time.time()) + 60
    body, fields = form([("file", "x", b"form")])
    assert put(secured, path, b"data", signature=sign(path, "write"))[0] == 200
    assert secured.request("GET", url(path, signature=sign(path, "read")))[2] == b"data"
    assert secured.request("GET", url(path, signature=sign(path, "read", "nobody", soon), username="nobody", signature_expiration=soon))[2] == b"data"
    assert secured.request("POST", url(path, signature=sign(path, "write", "", soon), signature_expiration=soon), body, fields)[0] == 200
    assert secured.request("GET", url(path), headers={"X-Access-Token": TOKEN})[2] == b"form"


def test_signed_urls_are_refused(secured, tmp_path):
    path = str(tmp_path / "f")
    (tmp_path / "f").write_bytes(b"secret")
    past = int(time.time()) - 5
    get = lambda **query: secured.request("GET", url(path, **query))  # noqa: E731
    assert refusal(get()) == "missing signature query parameter"
    assert refusal(get(signature="v1_x")) == "invalid signature"
    assert refusal(get(signature=sign(path, "write"))) == "invalid signature"
    assert refusal(get(signature=sign(path + "2", "read"))) == "invalid signature"
    assert refusal(get(signature=sign(path, "read"), username="nobody")) == "invalid signature"
    assert refusal(get(signature=sign(path, "read"), signature_expiration=past + 1000)) == "invalid signature"
    assert refusal(get(signature=sign(path, "read", "", past), signature_expiration=past)) == "signature is already expired"
    assert refusal(get(signature=sign(path, "read", "", 0), signature_expiration=0)) == "signature is already expired"
    assert get(signature=sign(path, "read"), signature_expiration="soon")[0] == 400
    assert refusal(secured.request("GET", url(path, signature=sign(path, "read")), headers={"X-Access-Token": "other"}))
    # The refusal of a big upload is read by clients that send everything first.
    assert refusal(put(secured, path, b"x" * (4 << 20))) == "missing signature query parameter"
    assert (tmp_path / "f").read_bytes() == b"secret"


def test_a_signature_opens_nothing_else(secured, tmp_path):
    path = str(tmp_path)
    query = urllib.parse.urlencode({"path": path, "signature": sign(path, "read")})
    for method, target in (("GET", "/envs"), ("POST", "/filesystem.Filesystem/Stat"), ("POST", "/files/compose"), ("PUT", "/files")):
        assert secured.request(method, f"{target}?{query}")[0] == 401, target


# --- compose ---

def compose(envd, sources, destination, headers=None, **more):
    message = {"source_paths": [str(source) for source in sources], "destination": str(destination), **more}
    return envd.request("POST", "/files/compose", json.dumps(message), {"Content-Type": "application/json", **(headers or {})})


def test_compose(envd, tmp_path):
    tmp_path.chmod(0o755)
    data = [os.urandom(size) for size in (0, 1, 262144, 700001, 4096)]
    for i, part in enumerate(data):
        (tmp_path / f"p{i}").write_bytes(part)
    target = tmp_path / "new" / "whole"
    status, _, body = compose(envd, [tmp_path / f"p{i}" for i in range(5)], target, username="nobody")
    assert status == 200 and json.loads(body) == {"path": str(target), "name": "whole", "type": "file"}
    assert target.read_bytes() == b"".join(data) and os.stat(target).st_uid == pwd.getpwnam("nobody").pw_uid
    assert os.listdir(tmp_path) == ["new"]
    # Onto one of its sources, twice.
    (tmp_path / "a").write_bytes(b"a")
    assert compose(envd, [tmp_path / "a", tmp_path / "a", target], tmp_path / "a")[0] == 200
    assert (tmp_path / "a").read_bytes() == b"aa" + b"".join(data) and not target.exists()


def test_compose_errors(envd, tmp_path, small_disk):
    (tmp_path / "a").write_bytes(b"a" * 400000)
    (tmp_path / "b").write_bytes(b"b" * 400000)
    both = [tmp_path / "a", tmp_path / "b"]
    for sources, destination, expected in ((both + [tmp_path / "none"], tmp_path / "c", 404), ([tmp_path], tmp_path / "c", 400),
                                           ([], tmp_path / "c", 400), (both, tmp_path, 400), (both, tmp_path / "c", 507)):
        status, _, answer = compose(envd, sources, destination)
        assert status == expected and json.loads(answer)["code"] == expected, (sources, answer)
    assert compose(envd, both, tmp_path / "c", username="nobody-at-all")[0] == 401
    assert envd.request("POST", "/files/compose", "{", {"Content-Type": "application/json"})[0] == 400
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
