"""The disk below the database, the mails, a backup or the log is full, and then it is not: what cannot be written is refused and
said to be, what is there can be read, nothing that was promised is lost, and all goes on by itself."""
import json
import os
import subprocess
import time

import pytest
from conftest import end
from control_plane import WRENN, ControlPlane
from fake_agent import Fail, FakeAgent, held
from own_server import PROGRAMS, OwnServer
from people import PASSWORD, Mails, sign_up
from small_disk import CAN_MOUNT, SMALL_DATABASES, WHY_NOT, SmallDisk, SmallSqlite
from test_channels import QUICK, add_channel, add_events, assert_all_in_order, deliveries
from test_events import Listener, once_served
from waiting import in_background, wait_until

needs_mount = pytest.mark.skipif(not CAN_MOUNT, reason=WHY_NOT)
PATIENCE = 60  # for what happens in time, but not at once: leases are taken anew, the reconciler makes its rounds


def make(database=None, *flags, **more):
    agent = FakeAgent()
    plane = ControlPlane(agent.address, *QUICK, *flags, database=database, **more)
    plane.agent = agent
    return plane


@pytest.fixture
def disk():
    one = SmallDisk()
    yield one
    one.remove()


@pytest.fixture(params=SMALL_DATABASES)
def small(request):
    one = request.param()
    yield one
    one.remove()


@pytest.fixture
def plane(small):
    one = make(small, "--auth-rate-limits", "false", mails=True)
    yield one
    end(one)


def log_lines(plane, begin=0):
    return [json.loads(line) for line in plane.log_text()[begin:].splitlines() if line]


def refused(answer):
    """For want of room, and so that users and programs understand it."""
    if answer.status != 507:
        return False
    assert answer.code == "resource_exhausted"
    assert "free some space" in answer.message
    for word in ("INSERT", "UPDATE", "DELETE", "base/", "pg_"):
        assert word not in answer.message
    return True


def until_refused(ask, good):
    """PostgreSQL has some room in each table of its own: each answer is a good one until there is none left."""
    answers = []
    for _ in range(3000):
        answer = ask()
        if refused(answer):
            return answers
        assert answer.status == good, answer.body
        answers.append(answer)
    raise AssertionError("never refused")


def readiness(plane):
    answer = plane.get("/readyz", key=None)
    return answer.status, answer.json["database"]


def created(answers):
    return [answer.json["id"] for answer in answers]


@needs_mount
def test_the_database(small, plane, receiver):
    """What is asked while it is full, and what was under way when it became so."""
    person = sign_up(plane)
    channel = add_channel(plane, receiver)
    pausing, stopping, destroyed, kept, working = [plane.create() for _ in range(5)]
    listener = once_served(plane, last=0)
    receiver.wait_for(lambda r: len(r.accepted) == 5)
    wait_until(lambda: len(listener.durable()) == 5)
    assert plane.delete(f"/v1/capsules/{destroyed}").status == 204
    assert readiness(plane) == (200, "ok")

    # Under way: a delivery, many that wait behind it, a pause that fails, a destroy and a create that work.
    answers = held(lambda *_: None)
    receiver.answer = lambda received: answers[1].wait(PATIENCE) and 200
    before = len(receiver.all)
    add_events(plane, resources=8, each=10)
    receiver.wait_for(lambda r: len(r.all) >= before + 8)

    def fail(agent, request):
        raise Fail("internal", "it cannot be paused")
    gates = []
    for method, then in (("PauseSandbox", fail), ("DestroySandbox", FakeAgent.destroy), ("CreateSandbox", FakeAgent.create)):
        plane.agent.on[method], go_on = held(then)
        gates.append(go_on)
    key = {"Idempotency-Key": "made-while-it-was-filled"}
    waiting = [in_background(lambda: plane.post(f"/v1/capsules/{pausing}/pause")),
               in_background(lambda: plane.delete(f"/v1/capsules/{stopping}")),
               in_background(lambda: plane.post("/v1/capsules", {}, headers={**key, "Prefer": "wait=60"}))]
    wait_until(lambda: (plane.row(pausing)["status"], plane.row(stopping)["status"]) == ("pausing", "stopping"))
    wait_until(lambda: plane.agent.called("PauseSandbox") and len(plane.agent.called("DestroySandbox")) == 2)
    wait_until(lambda: any(one["status"] == "starting" for one in plane.get("/v1/capsules").json))

    small.fill()
    begin = len(plane.log_text())
    is_sqlite = isinstance(small, SmallSqlite)
    for go_on in gates:
        go_on.set()
    plane.agent.on.clear()
    plane.agent.on["PauseSandbox"] = fail
    answers[1].set()
    for wait, good in zip(waiting, (502, 204, 201)):
        answer = wait()
        assert refused(answer) or answer.status == good, answer.body
        assert not is_sqlite or answer.status in (502, 507)  # the pause had failed anyway

    # Asked while it is full.
    made = created(until_refused(lambda: plane.post("/v1/capsules", {}), 201))
    until_refused(lambda: plane.post("/v1/auth/signup", {"email": f"p{time.monotonic_ns()}@example.com", "password": PASSWORD,
                                                         "name": "P"}, key=None), 201)
    keys = until_refused(lambda: person.post("/v1/api-keys", {"name": "k"}), 201)
    until_refused(lambda: plane.post("/v1/auth/login", {"email": person.email, "password": PASSWORD}, key=None), 200)
    for ask, good in ((lambda: plane.post(f"/v1/capsules/{kept}/pause"), 502),
                      (lambda: plane.delete(f"/v1/capsules/{kept}"), 204),
                      (lambda: plane.post("/v1/capsules", {}, headers={"Idempotency-Key": "refused"}), 201)):
        answer = ask()
        assert refused(answer) or (not is_sqlite and answer.status == good), answer.body
    is_kept = plane.row(kept)["status"] != "stopped"
    assert is_kept or not is_sqlite

    # What writes nothing that counts goes on.
    for path in ("/v1/capsules", f"/v1/capsules/{working}", "/v1/channels", f"/v1/channels/{channel['id']}/deliveries", "/v1/snapshots",
                 "/health", "/metrics"):
        assert plane.get(path).status == 200, path
    for path in ("/v1/me", "/v1/api-keys", "/v1/audit-logs"):
        assert person.get(path).status == 200, path
    for path, body, status in (("exec", {"cmd": "x"}, 200), ("ping", None, 204)):
        assert plane.post(f"/v1/capsules/{working}/{path}", body).status == status, path
    assert plane.post("/v1/channels/test", {"provider": "webhook", "config": {"url": receiver.url}}).status == 200
    late = Listener(plane, last=0)
    wait_until(lambda: len(late.durable()) >= 5)
    assert readiness(plane) == (200, "full")

    # It is told, and not again and again: of each kind, each lease has its own.
    if is_sqlite:
        wait_until(lambda: len([one for one in log_lines(plane, begin) if one.get("lease")]) > 30, PATIENCE)
    told = [(one["msg"], one.get("lease"), one["error"]) for one in log_lines(plane, begin)
            if one["level"] in ("warn", "error") and "error" in one and one["msg"] not in ("request", "capsule operation failed")
            and "the next round" not in one["msg"]]  # those come as often as their rounds
    assert [one for one in set(told) if told.count(one) > 3] == []
    assert len([one for one in log_lines(plane, begin) if "disk is full" in one["msg"]]) == 1
    assert plane.process.poll() is None

    small.free()
    made.append(plane.create())  # at once
    for capsule, status in ((pausing, "running"), (stopping, "stopped"), *[(capsule, "running") for capsule in made]):
        plane.wait_for_row(capsule, status, seconds=PATIENCE)
    again = plane.post("/v1/capsules", {}, headers=key)
    assert again.status == 201
    plane.wait_for_row(again.json["id"], "running", seconds=PATIENCE)
    assert plane.post("/v1/capsules", {}, headers=key).json["id"] == again.json["id"]
    assert plane.post("/v1/capsules", {}, headers={"Idempotency-Key": "refused"}).status == 201
    for answer in keys:
        assert plane.get("/v1/capsules", key=answer.json["key"]).status == 200

    # Every event that there is was told, of each resource in order, at least once.
    with plane.database() as database:
        events = database.execute("SELECT id FROM events WHERE team_id = ?", (channel["team_id"],)).fetchall()
        told_of = [row["resource"] for row in database.execute("SELECT resource FROM events WHERE type = 'capsule.create'").fetchall()]
    assert set(made) <= {resource.split(":")[1] for resource in told_of}
    wait_until(lambda: len({one["id"] for one in listener.durable()}) >= len(events) and
               len({one["id"] for one in late.durable()}) >= len(events), PATIENCE)
    wanted = {("capsule.create", capsule) for capsule in made} | {("capsule.destroy", stopping)}
    wait_until(lambda: wanted <= {(one.json["event"], one.resource) for one in list(receiver.accepted)}, PATIENCE)
    wait_until(lambda: not deliveries(plane, channel, "pending"), PATIENCE)
    assert deliveries(plane, channel, "dead") == []
    assert_all_in_order(receiver, resources=8, each=10)
    with plane.database() as database:
        waiting = database.execute("SELECT COUNT(*) AS n FROM events WHERE seq IS NULL").fetchone()["n"]
    assert waiting == 0
    wait_until(lambda: readiness(plane) == (200, "ok"), PATIENCE)
    assert [one["msg"] for one in log_lines(plane, begin) if "has room again" in one["msg"]] == ["the database has room again"]
    for one in (listener, late):
        one.close()


@needs_mount
@pytest.mark.parametrize("ended", ["while it is full", "before"])
def test_started_while_it_is_full(ended):
    """Nothing that was written is lost, and a process that cannot start for it says why."""
    small = SmallSqlite()
    plane = make(small)
    try:
        capsules = [plane.create() for _ in range(20)]
        if ended == "while it is full":
            small.fill()
        assert plane.stop() == 0
        small.disk.fill()  # with what the end has set free
        if ended == "before":  # it left no memory to share, and there is no room for a new one
            with pytest.raises(RuntimeError, match="free some space"):
                plane.start()
            assert plane.process.wait(20) != 0
        else:
            plane.start()
            assert refused(plane.post("/v1/capsules", {}))
            assert {one["id"] for one in plane.get("/v1/capsules").json} == set(capsules)
            assert plane.stop() == 0
        small.free()
        plane.start()
        assert {one["id"] for one in plane.get("/v1/capsules").json} == set(capsules)
        plane.create()
    finally:
        end(plane)
        small.remove()


@needs_mount
def test_a_backup():
    small = SmallSqlite()
    plane = make(small)

    def backup():
        return subprocess.run([WRENN, "--dir", plane.dir, "admin", "backup"], capture_output=True, text=True, timeout=60,
                              env={**os.environ, **small.environment, "LOG_LEVEL": "error"})
    try:
        capsule = plane.create()
        small.disk.fill()
        failed = backup()
        assert failed.returncode != 0 and "free some space" in failed.stderr, failed.stderr
        assert [name for name in os.listdir(small.disk.path) if ".bak" in name] == []
        assert plane.get(f"/v1/capsules/{capsule}").status == 200
        small.free()
        assert backup().returncode == 0
        assert [name.endswith(".bak") for name in os.listdir(small.disk.path) if ".bak" in name] == [True]
    finally:
        end(plane)
        small.remove()


@needs_mount
def test_mails(disk):
    """They wait; who signed up gets his once there is room."""
    plane = make(None, "--mail-dir", disk.path)
    mails = Mails(plane)
    mails.directory = disk.path
    try:
        disk.fill()
        begin = len(plane.log_text())
        assert plane.post("/v1/auth/signup", {"email": "new@example.com", "password": PASSWORD, "name": "N"}, key=None).status == 201
        wait_until(lambda: [one for one in log_lines(plane, begin) if one["msg"].startswith("a mail was not sent")])
        assert mails.to("new@example.com") == []
        assert [name for name in os.listdir(disk.path) if name.endswith(".part")] == []
        disk.free()
        token = mails.wait_for("new@example.com", "Activate your Wrenn account", seconds=PATIENCE)
        assert "token=" in token.get_body(("plain",)).get_content()
        assert not [one for one in log_lines(plane, begin) if one["level"] == "error"]
    finally:
        end(plane)


class LogOnSmallDisk(ControlPlane):
    def start(self):
        there = os.path.join(self.small.path, "log")
        if not os.path.lexists(os.path.join(self.dir, "log")):
            os.symlink(there, os.path.join(self.dir, "log"))
        super().start()


@needs_mount
def test_the_log(disk):
    """Whoever cannot write his log works on, and says afterwards what is missing."""
    LogOnSmallDisk.small = disk
    agent = FakeAgent()
    plane = LogOnSmallDisk(agent.address)
    plane.agent = agent
    try:
        plane.create()
        disk.fill()
        full, size = False, 0
        while not full:  # its last block has some room
            capsule = plane.create()
            assert plane.get(f"/v1/capsules/{capsule}").status == 200
            full, size = os.path.getsize(f"{disk.path}/log") == size, os.path.getsize(f"{disk.path}/log")
        plane.create()
        disk.free()
        begin = size
        plane.create()
        rest = plane.log_text()[begin:].splitlines()
        lines = [json.loads(line) for line in rest[1:] if line]  # the first may be the end of one that was torn
        (lost,) = [one for one in lines if one["msg"].startswith("lines of the log were lost")]
        assert lost["lines"] > 0
    finally:
        end(plane)


@pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server is installed")
def test_a_receiver_is_not_told_again_and_again(receiver):
    """The lease is kept, and the results of deliveries find no room: what was delivered waits to be noted."""
    server = OwnServer()
    plane = make(server)
    try:
        channel = add_channel(plane, receiver)
        with server.connect() as database:
            database.execute("CREATE SEQUENCE attempts")
            database.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('attempts'); "
                             "RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$")
            database.execute("CREATE TRIGGER full_disk BEFORE UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION refuse()")
        capsule = plane.create()

        def attempts():
            with server.connect() as database:
                return database.execute("SELECT last_value FROM attempts").fetchone()["last_value"]
        wait_until(lambda: attempts() >= 3, PATIENCE)
        assert [one.resource for one in receiver.all] == [capsule]
        with server.connect() as database:
            database.execute("DROP TRIGGER full_disk ON deliveries")
        wait_until(lambda: [one["status"] for one in deliveries(plane, channel)] == ["delivered"], PATIENCE)
        assert [one.resource for one in receiver.all] == [capsule]
    finally:
        end(plane)
        server.remove()
