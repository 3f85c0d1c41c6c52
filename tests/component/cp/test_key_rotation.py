"""wrenn admin rotate-key: secrets stay readable, also when it is cut off between its steps, or a control plane runs."""
import itertools
import os
import secrets
import subprocess
import threading
import time

import pytest
from control_plane import WRENN
from test_channels import add_channel, deliveries, quick  # noqa: F401 (a fixture)
from waiting import wait_until


@pytest.fixture
def plane(quick):
    return quick


def rotate(plane, **environment):
    return subprocess.run([WRENN, "--dir", plane.dir, "admin", "rotate-key"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **plane.own_database.environment, "LOG_LEVEL": "error", **environment})


def key_file(plane):
    return os.path.join(plane.dir, "encryption.key")


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def put(path, text):
    with open(path, "w", encoding="ascii", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text + "\n")


def check(plane):
    with plane.database() as database:
        return database.execute("SELECT value FROM installation WHERE name = 'encryption_key_check'").fetchone()["value"]


def sealed(plane):
    with plane.database() as database:
        return ([row["config"] for row in database.execute("SELECT config FROM channels ORDER BY id").fetchall()]
                + [row["answer"] for row in database.execute("SELECT answer FROM idempotency_keys WHERE answer <> '' ORDER BY key").fetchall()])


def key_files(plane):
    return sorted(name for name in os.listdir(plane.dir) if name.startswith("encryption.key"))


def delivers(plane, receiver, channel):
    """An event of now arrives and is signed with the channel's secret."""
    before = len(receiver.accepted)
    capsule = plane.create()
    receiver.wait_for(lambda r: any(one.resource == capsule for one in r.accepted[before:]))
    assert all(one.is_signed_with(channel["secret"]) for one in receiver.accepted[before:])


def refuses_to_start(plane):
    done = subprocess.run([WRENN, "--dir", plane.dir, "cp", "--listen", "127.0.0.1:0", "--agent-address", plane.agent_address],
                          capture_output=True, text=True, timeout=30, env={**os.environ, **plane.own_database.environment})
    assert done.returncode != 0
    return done.stderr


def test_under_a_running_control_plane(plane, receiver):
    channel = add_channel(plane, receiver)
    delivers(plane, receiver, channel)
    headers = {"Idempotency-Key": "the first"}
    first = plane.post("/v1/capsules", {}, headers=headers)
    old, rows = read(key_file(plane)), sealed(plane)
    assert len(rows) == 2
    done = rotate(plane)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 secrets")
    new = read(key_file(plane))
    assert new != old and len(new) == 64
    assert new not in done.stdout + done.stderr
    assert os.stat(key_file(plane)).st_mode & 0o777 == 0o600
    assert key_files(plane) == ["encryption.key"]
    assert all(a != b for a, b in zip(rows, sealed(plane)))
    with plane.database() as database:
        entry = database.execute("SELECT * FROM audit_logs WHERE resource_type = 'encryption_key'").fetchone()
    assert entry["action"] == "rotate"

    # The process has read the new key by itself.
    delivers(plane, receiver, channel)
    again = plane.post("/v1/capsules", {}, headers=headers)
    assert again.json["id"] == first.json["id"] and again.headers["Idempotency-Replayed"] == "true"
    second = add_channel(plane, receiver, name="second")
    plane.delete(f"/v1/channels/{channel['id']}")
    delivers(plane, receiver, second)
    assert rotate(plane).returncode == 0
    delivers(plane, receiver, second)

    # The old key opens nothing any more; the new one does, also in a new process.
    plane.stop()
    newest = read(key_file(plane))
    for wrong in (old, new):
        put(key_file(plane), wrong)
        told = refuses_to_start(plane)
        assert "is not the key" in told and wrong not in told
    put(key_file(plane), newest)
    plane.start()
    delivers(plane, receiver, second)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("old_file", [True, False])
def test_cut_off_after_the_commit(plane, receiver, running, old_file):
    channel = add_channel(plane, receiver)
    old = read(key_file(plane))
    if not running:
        plane.stop()
    assert rotate(plane).returncode == 0
    os.rename(key_file(plane), f"{key_file(plane)}.new-{check(plane)}")
    if old_file:
        put(key_file(plane), old)
    if not running:
        plane.start()
    delivers(plane, receiver, channel)
    assert key_files(plane) == ["encryption.key"]
    assert read(key_file(plane)) != old


def test_cut_off_before_the_commit(plane, receiver):
    channel = add_channel(plane, receiver)
    old = read(key_file(plane))
    plane.stop()
    put(f"{key_file(plane)}.new-{'0' * 32}", secrets.token_hex(32))
    put(f"{key_file(plane)}.new-{'1' * 32}.abcd", "torn")
    plane.start()
    delivers(plane, receiver, channel)
    assert read(key_file(plane)) == old
    assert rotate(plane).returncode == 0
    delivers(plane, receiver, channel)


def test_a_key_in_the_settings(plane, receiver):
    channel = add_channel(plane, receiver)
    plane.stop()
    old, new = read(key_file(plane)), secrets.token_hex(32)
    os.unlink(key_file(plane))
    plane.own_database.environment["WRENN_ENCRYPTION_KEY"] = old
    plane.start()
    delivers(plane, receiver, channel)

    done = rotate(plane)
    assert done.returncode != 0 and "WRENN_NEW_ENCRYPTION_KEY" in done.stderr
    done = rotate(plane, WRENN_NEW_ENCRYPTION_KEY="abc")
    assert done.returncode != 0 and "64 hexadecimal digits" in done.stderr
    done = rotate(plane, WRENN_NEW_ENCRYPTION_KEY=old)
    assert done.returncode != 0 and "choose a new one" in done.stderr
    delivers(plane, receiver, channel)
    done = rotate(plane, WRENN_NEW_ENCRYPTION_KEY=new)
    assert done.returncode == 0 and "WRENN_ENCRYPTION_KEY" in done.stdout, done.stderr
    assert key_files(plane) == []

    # A process that cannot have the new key neither writes nor loses anything.
    rows = sealed(plane)
    for answer in (plane.post("/v1/channels", {"name": "x", "provider": "webhook", "config": {"url": receiver.url}, "events": ["host.up"]}),
                   plane.request("PUT", f"/v1/channels/{channel['id']}/config", {"config": {}}),
                   plane.post("/v1/capsules", {}, headers={"Idempotency-Key": "k"})):
        assert (answer.status, answer.code) == (503, "key_replaced") and "Retry-After" in answer.headers
        assert "was replaced" in answer.message
    assert sealed(plane) == rows
    before = len(receiver.accepted)
    capsule = plane.create()
    wait_until(lambda: any(d["resource"] == f"sandbox:{capsule}" for d in deliveries(plane, channel)))
    wait_until(lambda: "was replaced" in plane.log_text())
    assert len(receiver.accepted) == before
    assert all(d["attempts"] == 0 for d in deliveries(plane, channel) if d["resource"] == f"sandbox:{capsule}")
    plane.stop()
    assert "is not the key" in refuses_to_start(plane)
    plane.own_database.environment["WRENN_ENCRYPTION_KEY"] = new
    plane.start()
    receiver.wait_for(lambda r: any(one.resource == capsule for one in r.accepted))
    delivers(plane, receiver, channel)
    assert old not in plane.log_text() and new not in plane.log_text()


def test_what_cannot_be_decrypted_stays(plane, receiver):
    lost, good = add_channel(plane, receiver, name="lost"), add_channel(plane, receiver, name="good")
    with plane.database() as database:
        database.execute("UPDATE channels SET config = '{\"url\":\"AAAA\"}' WHERE id = ?", (lost["id"],))
    done = rotate(plane)
    assert done.returncode == 0 and "1 could not be decrypted" in done.stdout
    plane.delete(f"/v1/channels/{lost['id']}")
    delivers(plane, receiver, good)


def test_while_secrets_are_written(plane, receiver):
    """Whoever writes a secret during a rotation writes it with a key that counts."""
    stop, channels, answers, failures = threading.Event(), [], {}, []

    def write(writer):
        for n in itertools.count():
            if stop.is_set():
                return
            name = f"w{writer}-{n}"
            made = plane.post("/v1/channels", {"name": name, "provider": "webhook", "config": {"url": receiver.url}, "events": ["host.up"]})
            capsule = plane.post("/v1/capsules", {}, headers={"Idempotency-Key": name})
            if made.status == 201 and capsule.status == 201:
                if n < 5:
                    channels.append(made.json["id"])
                answers[name] = capsule.json["id"]
                if n >= 5:
                    plane.delete(f"/v1/channels/{made.json['id']}")
            else:
                failures.append((made.status, made.body, capsule.status, capsule.body))
                return

    writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for one in writers:
        one.start()
    keys, rotations = {read(key_file(plane))}, []
    for _ in range(8):
        rotations.append(rotate(plane))
        keys.add(read(key_file(plane)))
        time.sleep(0.05)
    wait_until(lambda: len(answers) > 20 or failures, 60)
    stop.set()
    for one in writers:
        one.join()
    for done in rotations:
        assert done.returncode == 0 and "could not be decrypted" not in done.stdout, (done.stdout, done.stderr)
    assert failures == [] and len(keys) == 9
    assert len(answers) > 20
    for channel in channels:  # keeps the URL that is sealed
        assert plane.request("PUT", f"/v1/channels/{channel}/config", {"config": {}}).status == 200
    for name, capsule in answers.items():
        again = plane.post("/v1/capsules", {}, headers={"Idempotency-Key": name})
        assert (again.status, again.json["id"]) == (201, capsule)
