"""filesystem.Filesystem."""

import os
import pwd
import re
import stat

import pytest

from envd import RpcError, basic


def entry(envd, path, **kwargs):
    return envd.call("filesystem.Filesystem/Stat", {"path": str(path)}, **kwargs)["entry"]


def listing(envd, path, depth=None):
    message = {"path": str(path)} if depth is None else {"path": str(path), "depth": depth}
    return envd.call("filesystem.Filesystem/ListDir", message)["entries"]


def failing(envd, method, message, **kwargs):
    with pytest.raises(RpcError) as error:
        envd.call("filesystem.Filesystem/" + method, message, **kwargs)
    return error.value.code, error.value.status


def test_stat_of_a_file(envd, tmp_path):
    path = tmp_path / "f.txt"
    path.write_bytes(b"1234")
    path.chmod(0o640)
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    assert entry(envd, path) == {
        "name": "f.txt", "type": "FILE_TYPE_FILE", "path": str(path), "size": "4", "mode": 0o640,
        "permissions": "-rw-r-----", "owner": "root", "group": "root", "modifiedTime": "2023-11-14T22:13:20.123456789Z"}


def test_stat_of_other_types(envd, tmp_path):
    (tmp_path / "d").mkdir(mode=0o755)
    (tmp_path / "d").chmod(0o1777)
    os.mkfifo(tmp_path / "p", 0o600)
    directory, fifo, device = entry(envd, tmp_path / "d"), entry(envd, tmp_path / "p"), entry(envd, "/dev/null")
    assert (directory["type"], directory["permissions"], directory["mode"]) == ("FILE_TYPE_DIRECTORY", "dtrwxrwxrwx", 0o1777)
    assert (fifo["type"], fifo["permissions"]) == ("FILE_TYPE_UNSPECIFIED", "prw-------")
    assert device["permissions"] == "Dcrw-rw-rw-"
    assert entry(envd, "/")["name"] == "/"


def test_stat_of_links(envd, tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    (tmp_path / "f").chmod(0o604)
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "broken").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    link = entry(envd, tmp_path / "link")
    assert (link["type"], link["mode"], link["permissions"]) == ("FILE_TYPE_FILE", 0o604, "Lrwxrwxrwx")
    assert link["symlinkTarget"] == os.path.realpath(tmp_path / "f") and link["size"] == "1"
    for name in ("broken", "loop"):
        link = entry(envd, tmp_path / name)
        assert link["type"] == "FILE_TYPE_UNSPECIFIED" and link["symlinkTarget"] == str(tmp_path / name)


def test_unknown_owners_are_numbers(envd, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"")
    os.chown(path, 54321, 54322)
    assert (entry(envd, path)["owner"], entry(envd, path)["group"]) == ("54321", "54322")


def test_stat_errors(envd, tmp_path):
    assert failing(envd, "Stat", {"path": str(tmp_path / "none")}) == ("not_found", 404)
    assert failing(envd, "Stat", {"path": "~other"}) == ("invalid_argument", 400)
    assert failing(envd, "Stat", {"path": "a\0b"}) == ("invalid_argument", 400)
    assert failing(envd, "Stat", {"path": "/" + "x" * 10000}) == ("invalid_argument", 400)
    assert failing(envd, "Stat", {"path": 7}) == ("invalid_argument", 400)


def test_paths(envd):
    assert entry(envd, "")["path"] == "/root"
    assert entry(envd, "~")["path"] == "/root"
    assert entry(envd, "../etc/passwd")["path"] == "/etc/passwd"
    assert entry(envd, "//etc///passwd")["path"] == "/etc/passwd"
    assert entry(envd, "", headers=basic("nobody"))["path"] == pwd.getpwnam("nobody").pw_dir if os.path.exists(
        pwd.getpwnam("nobody").pw_dir) else True


def test_make_dir(envd, tmp_path):
    path = tmp_path / "a" / "b"
    made = envd.call("filesystem.Filesystem/MakeDir", {"path": str(path)}, headers=basic("nobody"))["entry"]
    assert made["type"] == "FILE_TYPE_DIRECTORY" and made["permissions"] == "drwxr-xr-x" and made["owner"] == "nobody"
    assert os.stat(tmp_path / "a").st_uid == pwd.getpwnam("nobody").pw_uid
    assert failing(envd, "MakeDir", {"path": str(path)}) == ("already_exists", 409)
    (tmp_path / "f").write_bytes(b"")
    assert failing(envd, "MakeDir", {"path": str(tmp_path / "f")}) == ("invalid_argument", 400)
    assert failing(envd, "MakeDir", {"path": str(tmp_path / "f" / "x")}) == ("invalid_argument", 400)


def test_move(envd, tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    moved = envd.call("filesystem.Filesystem/Move",
                      {"source": str(tmp_path / "f"), "destination": str(tmp_path / "new" / "g")})["entry"]
    assert moved["path"] == str(tmp_path / "new" / "g") and not (tmp_path / "f").exists()
    assert failing(envd, "Move", {"source": str(tmp_path / "f"), "destination": str(tmp_path / "x" / "y")}) == ("not_found", 404)
    assert not (tmp_path / "x").exists()
    assert failing(envd, "Move", {"source": str(tmp_path / "new"), "destination": str(tmp_path / "new" / "in" / "it")}) == (
        "invalid_argument", 400)
    assert os.listdir(tmp_path / "new") == ["g"]


def test_move_between_file_systems(envd, tmp_path):
    if os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("no second file system")
    other = f"/dev/shm/wrenn-envd-{os.getpid()}"
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "f").write_bytes(b"data")
    (source / "sub" / "f").chmod(0o711)
    (source / "link").symlink_to("sub/f")
    try:
        moved = envd.call("filesystem.Filesystem/Move", {"source": str(source), "destination": other + "/t"})["entry"]
        assert moved["type"] == "FILE_TYPE_DIRECTORY" and not source.exists()
        assert open(other + "/t/sub/f").read() == "data" and os.readlink(other + "/t/link") == "sub/f"
        assert stat.S_IMODE(os.stat(other + "/t/sub/f").st_mode) == 0o711
        envd.call("filesystem.Filesystem/Move", {"source": other + "/t/sub/f", "destination": str(tmp_path / "f")})
        assert (tmp_path / "f").read_bytes() == b"data"
    finally:
        if os.path.exists(other):
            envd.call("filesystem.Filesystem/Remove", {"path": other})


def test_list(envd, tmp_path):
    for path in ("file1", "subdir1/subdir1_1/deep", "subdir1/file2", "subdir2/x", ".hidden"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    (tmp_path / "to2").symlink_to("subdir2")

    def names(depth):
        return [os.path.relpath(e["path"], tmp_path) for e in listing(envd, tmp_path, depth)]

    top = [".hidden", "file1", "subdir1", "subdir2", "to2"]
    assert names(None) == top and names(0) == top and names(1) == top
    assert names(2) == [".hidden", "file1", "subdir1", "subdir1/file2", "subdir1/subdir1_1", "subdir2", "subdir2/x", "to2"]
    assert "subdir1/subdir1_1/deep" in names(3)
    # A link as the root is followed, under the name that was asked for.
    assert [e["path"] for e in listing(envd, tmp_path / "to2")] == [str(tmp_path / "to2" / "x")]


def test_list_errors(envd, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    assert failing(envd, "ListDir", {"path": str(tmp_path / "none")}) == ("not_found", 404)
    assert failing(envd, "ListDir", {"path": str(tmp_path / "f")}) == ("invalid_argument", 400)
    assert failing(envd, "ListDir", {"path": str(tmp_path), "depth": 100000}) == ("invalid_argument", 400)
    assert failing(envd, "ListDir", {"path": str(tmp_path), "depth": -1}) == ("invalid_argument", 400)


def test_list_is_bounded(envd, tmp_path):
    for i in range(1000):
        (tmp_path / f"d{i}").mkdir()
    for i in range(50001):
        os.close(os.open(tmp_path / f"d{i % 1000}" / f"f{i}", os.O_CREAT))
    assert len(listing(envd, tmp_path)) == 1000
    assert failing(envd, "ListDir", {"path": str(tmp_path), "depth": 2}) == ("resource_exhausted", 429)


def test_remove(envd, tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_bytes(b"")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "keep").write_bytes(b"")
    (tmp_path / "d" / "link").symlink_to(tmp_path / "target")
    assert envd.call("filesystem.Filesystem/Remove", {"path": str(tmp_path / "d")}) == {}
    assert sorted(os.listdir(tmp_path)) == ["target"] and (tmp_path / "target" / "keep").exists()
    assert failing(envd, "Remove", {"path": str(tmp_path / "d")}) == ("not_found", 404)
    assert failing(envd, "Remove", {"path": "/"}) == ("invalid_argument", 400)
    for headers in ({"E2b-Sandbox-Id": "x"}, {"User-Agent": "e2b-js-sdk/2.51.0"}):
        assert envd.call("filesystem.Filesystem/Remove", {"path": str(tmp_path / "d")}, headers=headers) == {}


def test_unknown_user(envd, tmp_path):
    with pytest.raises(RpcError) as error:
        envd.call("filesystem.Filesystem/Stat", {"path": "/"}, headers=basic("nobody-at-all"))
    assert (error.value.code, error.value.status) == ("unauthenticated", 401)
    assert error.value.message == "invalid username: 'nobody-at-all'"
