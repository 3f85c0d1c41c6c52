"""filesystem.Filesystem: WatchDir, CreateWatcher, GetWatcherEvents, RemoveWatcher."""

import http.client
import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from envd import Envd, RpcError, basic, wait_until

SERVICE = "filesystem.Filesystem/"


class Watch:
    """A WatchDir stream, read by a thread."""

    def __init__(self, envd, path, headers=None, **message):
        self.stream = envd.stream(SERVICE + "WatchDir", {"path": str(path), **message}, headers)
        flags, first = self.stream.raw()
        if flags & 2:
            raise RpcError(first["error"]["code"], first["error"].get("message", ""))
        assert first == {"start": {}}
        self.events, self.keepalives, self.end = [], 0, None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while True:
                flags, message = self.stream.raw()
                if flags & 2:
                    self.end = message
                    return
                if "keepalive" in message:
                    self.keepalives += 1
                else:
                    self.events.append(message["filesystem"])
        except (EOFError, OSError, ValueError, http.client.HTTPException) as error:
            self.end = error

    def seen(self):
        return [(event["type"].removeprefix("EVENT_TYPE_"), event["name"]) for event in list(self.events)]

    def wait_for(self, *expected):
        wait_until(lambda: all(item in self.seen() for item in expected), what=f"{expected} among {self.seen()[:50]}")

    def close(self):
        self.stream.conn.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.stream.close()


class Poller:
    def __init__(self, envd, path, **message):
        self.envd = envd
        self.id = envd.call(SERVICE + "CreateWatcher", {"path": str(path), **message})["watcherId"]

    def events(self):
        return self.envd.call(SERVICE + "GetWatcherEvents", {"watcherId": self.id})["events"]

    def seen(self):
        return [(event["type"].removeprefix("EVENT_TYPE_"), event["name"]) for event in self.events()]

    def close(self):
        return self.envd.call(SERVICE + "RemoveWatcher", {"watcherId": self.id})


def opener(kind, envd):
    """Makes objects of a kind for a test and closes them after it."""
    made = []

    def begin(path, **kwargs):
        made.append(kind(envd, path, **kwargs))
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.fixture
def watch(envd):
    yield from opener(Watch, envd)


@pytest.fixture
def poll(envd):
    yield from opener(Poller, envd)


def upload(envd, path, data):
    status, _, _ = envd.request("POST", "/files?" + urllib.parse.urlencode({"path": str(path)}), data,
                                {"Content-Type": "application/octet-stream"})
    assert status == 200


def inotify_descriptors(pid):
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:inotify"
        except FileNotFoundError:
            pass
    return count


def watched_directories(pid):
    """Of all inotify instances of a process, as the kernel counts them."""
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:inotify":
                with open(f"/proc/{pid}/fdinfo/{fd}") as info:
                    # Each instance has two descriptors.
                    count += sum(line.startswith("inotify wd:") for line in info) / 2
        except FileNotFoundError:
            pass
    return count


# --- what is told ---

def test_every_type_of_event(watch, tmp_path):
    one = watch(tmp_path)
    (tmp_path / "a").write_bytes(b"x")
    one.wait_for(("CREATE", "a"), ("WRITE", "a"))
    (tmp_path / "a").chmod(0o600)
    one.wait_for(("CHMOD", "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    one.wait_for(("RENAME", "a"), ("CREATE", "b"))
    (tmp_path / "b").unlink()
    one.wait_for(("REMOVE", "b"))
    (tmp_path / "d").mkdir()
    one.wait_for(("CREATE", "d"))
    assert all(set(event) == {"name", "type"} for event in one.events)


def test_order_is_kept(poll, tmp_path):
    one = poll(tmp_path)
    for i in range(200):
        (tmp_path / f"f{i}").touch()
    assert [name for kind, name in one.seen() if kind == "CREATE"] == [f"f{i}" for i in range(200)]


def test_a_poll_has_what_happened_before_it(poll, tmp_path):
    one = poll(tmp_path, recursive=True)
    for i in range(20):
        (tmp_path / f"d{i}").mkdir()
        (tmp_path / f"d{i}" / "f").touch()
        assert {("CREATE", f"d{i}"), ("CREATE", f"d{i}/f")} <= set(one.seen())


def test_uploads_look_as_if_they_were_written_in_place(envd, poll, tmp_path):
    one = poll(tmp_path)
    upload(envd, tmp_path / "f", b"new")
    assert one.seen() == [("CREATE", "f"), ("WRITE", "f")]
    upload(envd, tmp_path / "f", b"again")
    assert one.seen() == [("WRITE", "f")]
    os.mkdir("/dev/shm/wrenn-watch")
    try:
        open("/dev/shm/wrenn-watch/g", "w").close()
        envd.call(SERVICE + "Move", {"source": "/dev/shm/wrenn-watch/g", "destination": str(tmp_path / "g")})
        assert one.seen() == [("CREATE", "g")]
    finally:
        shutil.rmtree("/dev/shm/wrenn-watch")


def test_entries_on_request(envd, poll, tmp_path):
    one = poll(tmp_path, includeEntry=True)
    upload(envd, tmp_path / "f", b"1234")
    (tmp_path / "f").unlink()
    upload(envd, tmp_path / "f", b"1234")
    (tmp_path / "d").mkdir()
    (tmp_path / "f").rename(tmp_path / "g")
    events = {(event["type"], event["name"]): event.get("entry") for event in one.events()}
    assert events[("EVENT_TYPE_CREATE", "d")]["type"] == "FILE_TYPE_DIRECTORY"
    entry = events[("EVENT_TYPE_CREATE", "g")]
    assert (entry["path"], entry["size"], entry["name"]) == (str(tmp_path / "g"), "4", "g")
    assert events[("EVENT_TYPE_REMOVE", "f")] is None and events[("EVENT_TYPE_RENAME", "f")] is None


def test_only_the_directory_itself_unless_recursive(watch, tmp_path):
    (tmp_path / "d").mkdir()
    one = watch(tmp_path)
    (tmp_path / "d" / "inside").touch()
    (tmp_path / "outside").touch()
    one.wait_for(("CREATE", "outside"))
    assert not [name for _, name in one.seen() if "inside" in name]


def test_links_and_relative_paths(envd, watch, tmp_path):
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "elsewhere").symlink_to("/tmp")
    one = watch(tmp_path / "link", recursive=True)
    (tmp_path / "real" / "sub" / "f").touch()
    one.wait_for(("CREATE", "sub/f"))
    home = watch("")  # the user's home
    name = f"/root/.wrenn-test-{os.getpid()}"
    open(name, "w").close()
    os.unlink(name)
    home.wait_for(("REMOVE", os.path.basename(name)))


# --- trees ---

def test_directories_that_are_made_later(watch, tmp_path):
    one = watch(tmp_path, recursive=True)
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c" / "f").write_bytes(b"x")
    one.wait_for(("CREATE", "a"), ("CREATE", "a/b"), ("CREATE", "a/b/c"), ("CREATE", "a/b/c/f"), ("WRITE", "a/b/c/f"))


def test_nothing_is_lost_in_new_directories_and_nothing_is_told_twice(poll, tmp_path):
    """Made as fast as a program can, so that many things are there before their directory is watched."""
    one = poll(tmp_path, recursive=True)
    made = []
    for i in range(150):
        for path in (f"t{i}", f"t{i}/a", f"t{i}/a/b"):
            os.mkdir(tmp_path / path)
            made.append(path)
            for name in "xy":
                os.close(os.open(tmp_path / path / name, os.O_CREAT))
                made.append(f"{path}/{name}")
    created = []
    wait_until(lambda: created.extend(name for kind, name in one.seen() if kind == "CREATE") or len(created) >= len(made),
               what=f"{len(made)} CREATE events")
    time.sleep(0.2)
    created += [name for kind, name in one.seen() if kind == "CREATE"]
    assert sorted(created) == sorted(made)


def test_made_again_in_a_new_directory(poll, tmp_path):
    one = poll(tmp_path, recursive=True)
    for i in range(50):
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").touch()
        (tmp_path / "d" / "f").unlink()
        (tmp_path / "d" / "f").touch()
        shutil.rmtree(tmp_path / "d")
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "f").touch()
    seen = one.seen()
    assert seen.count(("CREATE", "d")) == 50 and seen.count(("REMOVE", "d")) == 50 and ("CREATE", "last/f") in seen


def test_renamed_directories_have_their_new_name(poll, tmp_path):
    (tmp_path / "a" / "sub").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    one = poll(tmp_path, recursive=True)
    (tmp_path / "a").rename(tmp_path / "other" / "b")
    (tmp_path / "other" / "b" / "sub" / "f").touch()
    assert one.seen() == [("RENAME", "a"), ("CREATE", "other/b"), ("CREATE", "other/b/sub/f")]
    # Over an empty directory that was watched itself.
    (tmp_path / "empty").mkdir()
    one.seen()
    (tmp_path / "other" / "b").rename(tmp_path / "empty")
    (tmp_path / "empty" / "sub" / "g").touch()
    assert ("CREATE", "empty/sub/g") in one.seen()


def test_directories_that_leave_are_watched_no_longer(envd, poll, tmp_path):
    (tmp_path / "in" / "d" / "e").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    one = poll(tmp_path / "in", recursive=True)
    (tmp_path / "in" / "d").rename(tmp_path / "out" / "d")
    (tmp_path / "out" / "d" / "e" / "f").touch()
    (tmp_path / "in" / "g").touch()
    assert one.seen() == [("RENAME", "d"), ("CREATE", "g")]
    # And back, with what is in it by now.
    (tmp_path / "out" / "d").rename(tmp_path / "in" / "d")
    assert set(one.seen()) == {("CREATE", "d"), ("CREATE", "d/e"), ("CREATE", "d/e/f")}
    (tmp_path / "in" / "d" / "e" / "h").touch()
    assert one.seen() == [("CREATE", "d/e/h")]


def test_watches_end_with_their_directories(fresh, tmp_path):
    for path in ("in/a/b/c", "in/d", "out"):
        (tmp_path / path).mkdir(parents=True)
    one = Poller(fresh, tmp_path / "in", recursive=True)
    assert watched_directories(fresh.pid) == 5
    (tmp_path / "in" / "a" / "b").rename(tmp_path / "out" / "b")
    (tmp_path / "in" / "d").rmdir()
    (tmp_path / "in" / "e").mkdir()
    assert one.seen() == [("RENAME", "a/b"), ("REMOVE", "d"), ("CREATE", "e")]
    assert watched_directories(fresh.pid) == 3


def test_mounts_of_the_kernel_are_not_watched(fresh, tmp_path):
    (tmp_path / "proc").mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "proc", "proc", str(tmp_path / "proc")]).returncode != 0:
        pytest.skip("cannot mount (needs root)")
    try:
        Poller(fresh, tmp_path, recursive=True)
        assert watched_directories(fresh.pid) == 1
    finally:
        subprocess.run(["umount", str(tmp_path / "proc")], check=True)


def test_a_poll_tells_what_has_happened_however_busy_envd_is(fresh, tmp_path):
    """Its threads list large directories all the time; what a poll asks for waits its turn with them."""
    (tmp_path / "large").mkdir()
    for i in range(20000):
        os.close(os.open(tmp_path / "large" / f"{i}", os.O_CREAT))
    (tmp_path / "watched").mkdir()
    one, over = Poller(fresh, tmp_path / "watched"), threading.Event()

    def keep_busy():
        while not over.is_set():
            fresh.call(SERVICE + "ListDir", {"path": str(tmp_path / "large"), "depth": 1})
    threads = [threading.Thread(target=keep_busy) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for i in range(10):
            (tmp_path / "watched" / f"f{i}").touch()
            assert ("CREATE", f"f{i}") in one.seen()
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_directory_into_its_own_new_parent(poll, tmp_path):
    (tmp_path / "a").mkdir()
    one = poll(tmp_path, recursive=True)
    for i in range(100):  # whether envd sees the move or its result is a matter of microseconds
        (tmp_path / f"p{i}").mkdir()
        (tmp_path / "a").rename(tmp_path / f"p{i}" / "a")
        (tmp_path / f"p{i}" / "a" / f"f{i}").touch()
        assert [name for kind, name in one.seen() if kind == "CREATE"] == [f"p{i}", f"p{i}/a", f"p{i}/a/f{i}"]
        (tmp_path / f"p{i}" / "a").rename(tmp_path / "a")
        assert ("CREATE", "a") in one.seen()


@pytest.mark.parametrize("seed", range(3))
def test_after_any_changes_every_directory_is_watched_by_its_name(envd, poll, tmp_path, seed):
    """Random changes as fast as possible; then a new file in each directory must be told with its path, once."""
    rng = random.Random(seed)
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    one = poll(root, recursive=True)
    for step in range(1000):
        places = [place for place, _, _ in os.walk(root)]
        place, other = rng.choice(places), rng.choice(places)
        try:
            match rng.randrange(6):
                case 0 | 1:
                    os.mkdir(f"{place}/d{step}")
                case 2:
                    os.makedirs(f"{place}/m{step}/x/y")
                case 3 if place != str(root):
                    os.rename(place, f"{other}/r{step}")
                case 4 if place != str(root):
                    os.rename(place, out / f"o{step}")
                case 5:
                    if os.listdir(out) and rng.random() < 0.5:
                        os.rename(out / rng.choice(os.listdir(out)), f"{place}/b{step}")
                    elif place != str(root) and rng.random() < 0.3:
                        shutil.rmtree(place)
        except OSError:
            pass  # into itself, or gone with the directory above
        if step % 50 == 0:
            try:
                one.events()
            except RpcError as error:
                assert error.code == "data_loss"
    while one.events():
        pass
    expected = []
    for place, _, _ in os.walk(root):
        open(f"{place}/probe", "w").close()
        expected.append(os.path.relpath(f"{place}/probe", root))
    for place, _, _ in os.walk(out):
        open(f"{place}/probe", "w").close()
    assert sorted(name for kind, name in one.seen() if kind == "CREATE") == sorted(expected)


def test_removed_trees(poll, tmp_path):
    for i in range(5):
        (tmp_path / f"d{i}" / "e").mkdir(parents=True)
    one = poll(tmp_path, recursive=True)
    for i in range(5):
        shutil.rmtree(tmp_path / f"d{i}")
    seen = one.seen()
    for i in range(5):
        assert seen.count(("REMOVE", f"d{i}/e")) == 1 and seen.count(("REMOVE", f"d{i}")) == 1


def test_the_watched_directory_itself(watch, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "m").mkdir()
    removed, moved = watch(tmp_path / "d"), watch(tmp_path / "m", recursive=True)
    (tmp_path / "d").chmod(0o700)
    (tmp_path / "d").rmdir()
    removed.wait_for(("CHMOD", "."), ("REMOVE", "."))
    (tmp_path / "m").rename(tmp_path / "n")
    moved.wait_for(("RENAME", "."))
    (tmp_path / "n" / "f").touch()
    time.sleep(0.2)
    assert moved.seen() == [("RENAME", ".")] and moved.end is None


# --- odd names and places ---

def test_names_that_are_no_utf8(envd, watch, tmp_path):
    one = watch(tmp_path, recursive=True, includeEntry=True)
    raw = os.fsencode(tmp_path)
    os.mkdir(raw + b"/\xff\xfe")
    os.close(os.open(raw + b"/\xff\xfe/ok", os.O_CREAT))
    os.close(os.open(raw + b"/new\nline", os.O_CREAT))
    one.wait_for(("CREATE", "\ufffd\ufffd"), ("CREATE", "\ufffd\ufffd/ok"), ("CREATE", "new\nline"))
    names = [entry["name"] for entry in envd.call(SERVICE + "ListDir", {"path": str(tmp_path), "depth": 2})["entries"]]
    assert sorted(names) == sorted(["new\nline", "\ufffd\ufffd", "ok"])
    assert envd.request("GET", "/files?path=" + urllib.parse.quote(raw + b"/\xff\xfe/ok"))[0] == 200


def test_trees_deeper_than_any_path(envd, poll, tmp_path):
    one = poll(tmp_path, recursive=True)
    name = "d" * 200
    depth = 60  # 12,000 bytes, where a path has 4095
    start = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path)
    try:
        for _ in range(depth):
            os.mkdir(name)
            os.chdir(name)
        open("bottom", "w").close()
    finally:
        os.fchdir(start)
        os.close(start)
    created = []
    wait_until(lambda: created.extend(name for kind, name in one.seen() if kind == "CREATE") or len(created) >= 18, what="the tree")
    again = poll(tmp_path, recursive=True)  # found as it is
    (tmp_path / name / "f").touch()
    assert ("CREATE", name + "/f") in again.seen()
    with pytest.raises(RpcError) as error:
        envd.call(SERVICE + "ListDir", {"path": str(tmp_path), "depth": 256})
    assert error.value.code == "invalid_argument"
    assert envd.call(SERVICE + "Remove", {"path": str(tmp_path / name)}) == {}
    assert os.listdir(tmp_path) == []


def test_things_that_vanish_while_they_are_looked_at(envd, poll, tmp_path):
    one = poll(tmp_path, recursive=True, includeEntry=True)
    stop = time.monotonic() + 2
    listed = []

    def lister():
        while time.monotonic() < stop:
            listed.append(envd.call(SERVICE + "ListDir", {"path": str(tmp_path), "depth": 3}))

    def churn(prefix):
        i = 0
        while time.monotonic() < stop:
            i += 1
            top = tmp_path / f"{prefix}{i % 5}"
            (top / "x" / "y").mkdir(parents=True, exist_ok=True)
            (top / "x" / "f").touch()
            (top / "x").rename(top / "z")
            shutil.rmtree(top)

    threads = [threading.Thread(target=lister)] + [threading.Thread(target=churn, args=(p,)) for p in "ab"]
    for thread in threads:
        thread.start()
    lost = 0
    while time.monotonic() < stop:
        try:
            one.events()
        except RpcError as error:
            assert error.code == "data_loss"
            lost += 1
    for thread in threads:
        thread.join()
    assert len(listed) > 10
    (tmp_path / "after" / "it").mkdir(parents=True)

    def told():
        try:
            return ("CREATE", "after/it") in one.seen()
        except RpcError as error:
            assert error.code == "data_loss"
            (tmp_path / "after" / "it").rmdir()
            (tmp_path / "after" / "it").mkdir()

    wait_until(told, what="an event after the churn")


# --- too much ---

def first_failure(poller):
    """The code of the first poll that fails."""
    codes = []

    def failed():
        try:
            poller.events()
        except RpcError as error:
            codes.append(error.code)
        return codes

    wait_until(failed, what="a failure")
    return codes[0]


def kernel_queue():
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        return int(file.read())


def test_a_flood_is_an_explicit_error_of_a_poll_which_goes_on(fresh, tmp_path):
    one = Poller(fresh, tmp_path)
    before = fresh.resident_kib()
    name = "n" * 230
    for i in range(40000):
        os.close(os.open(tmp_path / f"{name}{i}", os.O_CREAT))
        if i % 1000 == 0:
            time.sleep(0.01)  # so that its queue here overflows rather than the kernel's
    time.sleep(0.2)
    events = one.events()
    assert 1000 < len(events) < 40000
    assert sum(len(json.dumps(event)) for event in events) < 8 << 20
    with pytest.raises(RpcError) as error:
        one.events()
    assert error.value.code == "data_loss" and "list" in error.value.message
    assert one.seen() == []
    (tmp_path / "after").touch()
    assert one.seen() == [("CREATE", "after")]
    assert fresh.resident_kib() - before < 24 * 1024


def test_an_overflow_of_the_kernel_is_told_and_the_tree_is_found_again(fresh, tmp_path):
    one = Poller(fresh, tmp_path, recursive=True)
    os.kill(fresh.pid, 19)  # SIGSTOP: nobody reads the kernel's queue
    try:
        for i in range(kernel_queue() + 1000):
            os.close(os.open(tmp_path / f"f{i}", os.O_CREAT))
            os.unlink(tmp_path / f"f{i}")
        (tmp_path / "unseen").mkdir()
    finally:
        os.kill(fresh.pid, 18)
    assert first_failure(one) == "data_loss"
    one.events()
    (tmp_path / "unseen" / "f").touch()
    assert ("CREATE", "unseen/f") in one.seen()


def test_an_overflow_ends_a_stream(fresh, tmp_path):
    one = Watch(fresh, tmp_path)
    os.kill(fresh.pid, 19)
    try:
        for i in range(kernel_queue() + 1000):
            os.close(os.open(tmp_path / f"f{i}", os.O_CREAT))
            os.unlink(tmp_path / f"f{i}")
    finally:
        os.kill(fresh.pid, 18)
    one.thread.join(30)
    assert one.end["error"]["code"] == "data_loss" and len(one.events) > 1000
    one.close()


def test_a_reader_that_does_not_read_costs_no_memory(fresh, tmp_path):
    stream = fresh.stream(SERVICE + "WatchDir", {"path": str(tmp_path)}, buffer=4096)
    before = fresh.resident_kib()
    for i in range(30000):
        os.close(os.open(tmp_path / f"{'n' * 200}{i}", os.O_CREAT))
    time.sleep(0.3)
    assert fresh.resident_kib() - before < 16 * 1024
    stream.close()
    wait_until(lambda: inotify_descriptors(fresh.pid) == 0, what="the watch ends with its client")


def test_a_big_tree_that_moves_in_is_told_or_an_error(fresh, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "tree").mkdir()
    for i in range(300):
        (tmp_path / "tree" / f"d{i}").mkdir()
        for j in range(60):
            os.close(os.open(tmp_path / "tree" / f"d{i}" / f"f{j}", os.O_CREAT))
    one = Poller(fresh, tmp_path / "in", recursive=True)
    (tmp_path / "tree").rename(tmp_path / "in" / "tree")  # 18,300 entries
    assert first_failure(one) == "data_loss"
    (tmp_path / "in" / "tree" / "d7" / "new").touch()
    wait_until(lambda: ("CREATE", "tree/d7/new") in one.seen(), what="it is watched nevertheless")


def test_watchers_are_bounded_and_end(fresh, tmp_path):
    made = []
    with pytest.raises(RpcError) as error:
        for _ in range(200):
            made.append(Poller(fresh, tmp_path))
    assert error.value.code == "resource_exhausted" and 50 <= len(made) <= 100
    (tmp_path / "f").touch()
    assert all(one.seen() == [("CREATE", "f")] for one in made)
    for one in made:
        one.close()
    wait_until(lambda: inotify_descriptors(fresh.pid) == 0, what="no inotify instance is left")
    Poller(fresh, tmp_path)


def test_directories_are_bounded_by_the_kernel_with_a_clear_error(tmp_path):
    path = "/proc/sys/fs/inotify/max_user_watches"
    for i in range(200):
        (tmp_path / f"d{i}").mkdir()
    script = "mount --make-rprivate / 2>/dev/null; echo 100 > /proc/sys/user/max_inotify_watches && exec \"$@\""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-U", "-r", "sh", "-c", script, "sh", "true"],
                                           stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip(f"no user namespace with its own limit of watches ({path})")
    one = Envd(wrap=["unshare", "-U", "-r", "sh", "-c", script, "sh"])
    try:
        with pytest.raises(RpcError) as error:
            Poller(one, tmp_path, recursive=True)
        assert error.value.code == "resource_exhausted" and "max_user_watches" in error.value.message
        Poller(one, tmp_path)
    finally:
        one.stop()


# --- calls ---

def test_errors(envd, tmp_path):
    (tmp_path / "f").touch()
    for path, expected in ((tmp_path / "none", "not_found"), (tmp_path / "f", "invalid_argument"), ("~other", "invalid_argument"),
                           ("a\0b", "invalid_argument"), ("/" + "x" * 300, "invalid_argument")):
        with pytest.raises(RpcError) as error:
            envd.call(SERVICE + "CreateWatcher", {"path": str(path)})
        assert error.value.code == expected, path
        with pytest.raises(RpcError) as error:
            Watch(envd, path)
        assert (error.value.code, error.value.status) == (expected, 200), path
    for headers in (basic("nobody-at-all"),):
        with pytest.raises(RpcError) as error:
            Watch(envd, tmp_path, headers)
        assert error.value.code == "unauthenticated"


def test_unknown_watchers(envd, tmp_path):
    with pytest.raises(RpcError) as error:
        envd.call(SERVICE + "GetWatcherEvents", {"watcherId": "w-none"})
    assert (error.value.code, error.value.status) == ("not_found", 404)
    assert envd.call(SERVICE + "RemoveWatcher", {"watcherId": "w-none"}) == {}
    one = Poller(envd, tmp_path)
    assert re.fullmatch("w-[0-9a-f]+", one.id)
    assert one.events() == [] and one.close() == {} and one.close() == {}
    with pytest.raises(RpcError) as error:
        one.events()
    assert error.value.code == "not_found"


def test_keepalives(watch, tmp_path):
    one = watch(tmp_path, headers={"Keepalive-Ping-Interval": "1"})
    wait_until(lambda: one.keepalives >= 2, seconds=5, what="two keep-alives")


def test_the_timeout_ends_the_stream(watch, tmp_path):
    began = time.monotonic()
    one = watch(tmp_path, headers={"Connect-Timeout-Ms": "700"})
    one.thread.join(10)
    assert 0.6 < time.monotonic() - began < 5 and one.end["error"]["code"] == "deadline_exceeded"


def test_a_stop_of_envd_ends_streams_at_once(tmp_path):
    one = Envd()
    watch = Watch(one, tmp_path)
    Poller(one, tmp_path)
    began = time.monotonic()
    one.stop()
    assert time.monotonic() - began < 1.5
    watch.thread.join(5)
    assert watch.end["error"]["code"] == "unavailable"


def test_network_file_systems_are_refused_unless_allowed(fresh, tmp_path):
    """A FUSE mount without a server: statfs answers with its type only when somebody serves it, so we serve it."""
    server = tmp_path / "serve.py"
    server.write_text(FUSE_SERVER)
    mount = tmp_path / "mnt"
    mount.mkdir()
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("no /dev/fuse")
    with subprocess.Popen(["python3", str(server), str(mount)], stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout.readline() != "mounted\n":
                pytest.skip("cannot mount a FUSE file system")
            with pytest.raises(RpcError) as error:
                Poller(fresh, mount)
            assert error.value.code == "invalid_argument" and "allowNetworkMounts" in error.value.message
            around = Poller(fresh, tmp_path, recursive=True)
            assert watched_directories(fresh.pid) == 1
            around.close()
            assert Poller(fresh, mount, allowNetworkMounts=True).events() == []
        finally:
            subprocess.run(["umount", "-l", str(mount)], stderr=subprocess.DEVNULL)
            process.kill()


# Enough of FUSE (linux/fuse.h) for an empty root directory: INIT, GETATTR, STATFS, OPENDIR, READDIR, and errors.
FUSE_SERVER = r'''
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
if libc.mount(b"test", sys.argv[1].encode(), b"fuse", 0, f"fd={fd},rootmode=40755,user_id=0,group_id=0".encode()) != 0:
    print("failed", flush=True)
    sys.exit(1)
print("mounted", flush=True)
ATTR = struct.pack("<QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
while True:
    try:
        request = os.read(fd, 1 << 20)
    except OSError:
        sys.exit(0)
    size, opcode, unique = struct.unpack_from("<IIQ", request)
    error, data = 0, b""
    if opcode == 26:  # INIT
        data = struct.pack("<IIIIHHIIHHIIIIIIII", 7, 31, 65536, 0, 0, 0, 65536, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)[:64]
    elif opcode == 3:
        data = struct.pack("<QII", 1, 0, 0) + ATTR
    elif opcode == 17:
        data = struct.pack("<QQQQQIIII", 0, 0, 0, 0, 0, 512, 255, 512, 0) + bytes(24)
    elif opcode in (14, 27):
        data = struct.pack("<QII", 0, 0, 0)
    elif opcode in (2, 36, 42):
        continue
    elif opcode not in (18, 29, 28, 15):
        error = -38
    os.write(fd, struct.pack("<IiQ", 16 + len(data), error, unique) + data)
'''
