"""Files go in and come out the same."""

import hashlib
import os

MIB = 1 << 20


def form(path, data, boundary="frontier"):
    body = (f'--{boundary}\r\nContent-Disposition: form-data; name="path"\r\n\r\n{path}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n').encode()
    return body + data + f"\r\n--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def write(capsule, path, data, route="/files/write"):
    body, headers = form(path, data)
    return capsule.call("POST", route, body, headers=headers)


def test_round_trip_and_listing(capsule):
    data = bytes(range(256)) * 33
    assert write(capsule, "/root/a/b/c.bin", data).status == 204
    answer = capsule.call("POST", "/files/read", {"path": "/root/a/b/c.bin"})
    assert answer.status == 200 and answer.body == data
    assert answer.headers["Content-Type"] == "application/octet-stream"
    entries = capsule.call("POST", "/files/list", {"path": "/root/a", "depth": 2}).json()["entries"]
    assert [(e["path"], e["type"]) for e in entries] == [("/root/a/b", "directory"), ("/root/a/b/c.bin", "file")]
    entry = entries[1]
    assert (entry["name"], entry["size"], entry["owner"], entry["permissions"]) == ("c.bin", len(data), "root", "-rw-r--r--")


def test_hundred_mebibytes_stream(capsule):
    data = os.urandom(MIB) * 100
    digest = hashlib.sha256(data).hexdigest()
    assert write(capsule, "/root/big", data, "/files/stream/write").status == 204
    assert capsule.shell("sha256sum < /root/big", timeout_sec=120)["stdout"].split()[0] == digest
    answer = capsule.call("POST", "/files/stream/read", {"path": "/root/big"})
    assert answer.status == 200 and hashlib.sha256(answer.body).hexdigest() == digest


def test_cli_files(capsule, tmp_path):
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(os.urandom(3 * MIB + 17))
    cli = capsule.platform.cli
    done = cli("file", "put", str(source), f"{capsule.id}:/root/dir/in.bin")
    assert done.returncode == 0, done.stderr
    done = cli("file", "get", f"{capsule.id}:/root/dir/in.bin", str(target))
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == source.read_bytes()
    assert "in.bin" in cli("file", "ls", f"{capsule.id}:/root/dir").stdout
    done = cli("file", "get", f"{capsule.id}:/root/none", str(tmp_path / "none"))
    assert done.returncode == 125 and "none" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["in.bin", "out.bin"]


def test_missing_and_wrong_paths(capsule):
    assert capsule.call("POST", "/files/read", {"path": "/none"}).error()[:2] == (404, "not_found")
    assert capsule.call("POST", "/files/stream/read", {"path": "/none"}).error()[:2] == (404, "not_found")
    assert capsule.call("POST", "/files/list", {"path": "/none"}).error()[:2] == (404, "not_found")
    assert capsule.call("POST", "/files/read", {"path": "/etc"}).error()[:2] == (400, "invalid_request")
    assert capsule.call("POST", "/files/mkdir", {"path": "/root/new/dir"}).json()["entry"]["type"] == "directory"
    assert capsule.call("POST", "/files/mkdir", {"path": "/root/new/dir"}).error()[:2] == (409, "conflict")
    assert write(capsule, "/root/file", b"x").status == 204
    assert capsule.call("POST", "/files/mkdir", {"path": "/root/file"}).error()[0] == 400
    assert capsule.call("POST", "/files/remove", {"path": "/root/new"}).status == 204
    assert capsule.call("POST", "/files/remove", {"path": "/root/new"}).error()[:2] == (404, "not_found")


def test_traversal_stays_in_the_guest(capsule):
    """Dots lead around in the guest's own tree and nowhere else."""
    answer = capsule.call("POST", "/files/read", {"path": "/root/../../../../etc/hostname"})
    assert answer.status == 200
    with open("/etc/machine-id") as file:
        host = file.read()
    answer = capsule.call("POST", "/files/read", {"path": "../../../../../../etc/machine-id"})
    assert answer.status == 404 or answer.body.decode() != host


def test_truncated_upload_leaves_no_file(capsule):
    body, headers = form("/root/half", b"y" * 100_000)
    answer = capsule.call("POST", "/files/stream/write", body[:-200], headers=headers)
    assert answer.error()[:2] == (400, "invalid_request")
    assert capsule.call("POST", "/files/read", {"path": "/root/half"}).status == 404


def test_special_files_do_not_break_listings(capsule):
    entries = capsule.call("POST", "/files/list", {"path": "/dev"}).json()["entries"]
    assert {e["type"] for e in entries} <= {"file", "directory", "symlink"}
    assert any(e["name"] == "null" and e["permissions"].endswith("rw-rw-rw-") for e in entries)
