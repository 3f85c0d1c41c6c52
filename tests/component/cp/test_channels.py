"""Notification channels: a real receiver on loopback that works, is down, refuses, redirects, hangs and comes back."""
import re
import signal
import socket
import threading
import time

import pytest
from authority import Authority
from conftest import end, make
from own_database import SERVER
from waiting import in_background, wait_until
from webhook_receiver import WebhookReceiver

QUICK = ("--channels-allow-private", "true", "--channels-first-retry", "200ms", "--channels-second-retry", "400ms")
MANY = 10_000  # events that wait for a receiver
ALL = ["capsule.create", "capsule.pause", "capsule.resume", "capsule.destroy"]


@pytest.fixture
def quick():
    """A control plane that may talk to loopback and does not wait long between attempts."""
    one = make(*QUICK)
    yield one
    end(one)


def add_channel(plane, receiver, name="hook", events=ALL, **config):
    answer = plane.post("/v1/channels", {"name": name, "provider": "webhook", "config": {"url": receiver.url, **config},
                                         "events": events})
    assert answer.status == 201, answer.body
    return answer.json


def deliveries(plane, channel, status=""):
    answer = plane.get(f"/v1/channels/{channel['id']}/deliveries?limit=200&status={status}" if status
                       else f"/v1/channels/{channel['id']}/deliveries?limit=200")
    assert answer.status == 200, answer.body
    return answer.json["items"]


def add_events(plane, resources, each):
    """Events of many capsules, written as the program writes them; one more makes it look."""
    with plane.database() as database:
        team = database.execute("SELECT id FROM teams WHERE id <> 'team-0000000000000000000000000'").fetchone()["id"]
        now = int(time.time() * 1e6)
        for n in range(each):
            for r in range(resources):
                at = now + n * resources + r
                payload = ('{"event":"capsule.pause","outcome":"success","timestamp":"2026-05-19T14:23:01Z","team_id":"%s","actor":'
                           '{"type":"system","id":"","name":""},"resource":{"id":"r%d","type":"sandbox"},'
                           '"metadata":{"n":"%d"},"error":""}' % (team, r, n))
                database.execute("INSERT INTO events (id, type, team_id, resource, position, payload, created_at) "
                                 "VALUES (?, 'capsule.pause', ?, ?, ?, ?, ?)",
                                 (f"{at:025d}", team, f"sandbox:r{r}", n, payload, at))
    plane.create()


def orders(receiver):
    """For each made-up capsule the numbers of its events, in the order in which they were accepted."""
    by_resource = {}
    for one in receiver.accepted:
        if "n" in one.json["metadata"]:
            by_resource.setdefault(one.resource, []).append(int(one.json["metadata"]["n"]))
    return by_resource


def assert_all_in_order(receiver, resources, each):
    by_resource = orders(receiver)
    assert len(by_resource) == resources
    for got in by_resource.values():
        once = [n for i, n in enumerate(got) if i == 0 or n != got[i - 1]]
        assert once == list(range(each)), got


def test_what_happens_to_a_capsule_is_told(quick, receiver):
    channel = add_channel(quick, receiver)
    assert re.fullmatch("[0-9a-f]{64}", channel["secret"])
    capsule = quick.create()
    assert quick.post(f"/v1/capsules/{capsule}/pause").status == 200
    assert quick.post(f"/v1/capsules/{capsule}/resume").status == 200
    assert quick.delete(f"/v1/capsules/{capsule}").status == 204
    receiver.wait_for(lambda r: len(r.accepted) >= 4)
    assert [one.json["event"] for one in receiver.accepted] == ALL
    for one in receiver.accepted:
        assert one.is_signed_with(channel["secret"])
        assert one.headers["Content-Type"] == "application/json"
        assert one.json["outcome"] == "success" and one.json["error"] == ""
        assert one.json["resource"] == {"id": capsule, "type": "sandbox"}
        assert one.json["actor"]["type"] == "api_key" and one.json["actor"]["name"] == "k"
        assert one.json["team_id"] == channel["team_id"]
    ids = {one.headers["X-Wrenn-Delivery"] for one in receiver.accepted}
    assert len(ids) == 4 and all(re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", i) for i in ids)
    wait_until(lambda: [d["status"] for d in deliveries(quick, channel)] == ["delivered"] * 4)
    assert [d["event"] for d in deliveries(quick, channel)] == ALL[::-1]


def test_life_of_a_channel(quick, receiver):
    first = add_channel(quick, receiver, name=" My Hook ", events=["capsule.created"])
    assert first["name"] == "my-hook" and first["events"] == ["capsule.create"]
    second = add_channel(quick, receiver, name="other", secret="given")
    assert "secret" not in second
    listed = quick.get("/v1/channels").json
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    assert all("config" not in one and "secret" not in one for one in listed)

    path = f"/v1/channels/{first['id']}"
    assert quick.get(path).json["name"] == "my-hook"
    changed = quick.request("PATCH", path, {"name": "new", "events": ["host.up", "capsule.paused"]})
    assert changed.json["name"] == "new" and changed.json["events"] == ["host.up", "capsule.pause"]
    taken = quick.request("PATCH", path, {"name": "other", "events": ["host.up"]})
    assert (taken.status, taken.code) == (409, "conflict")
    rotated = quick.request("PUT", path + "/config", {"config": {}})
    assert rotated.status == 200 and len(rotated.json["secret"]) == 64 and rotated.json["secret"] != first["secret"]
    assert "secret" not in quick.request("PUT", path + "/config", {"config": {"url": receiver.url, "secret": "x"}}).json

    stranger = quick.add_key()
    for method, where, body in [("GET", path, None), ("PATCH", path, {"name": "n", "events": ["host.up"]}),
                                ("PUT", path + "/config", {"config": {"url": receiver.url}}),
                                ("GET", path + "/deliveries", None), ("POST", path + "/deliveries/x/redeliver", None)]:
        assert quick.request(method, where, body, key=stranger).status == 404, (method, where)
    assert quick.delete(path, key=stranger).status == 204
    assert quick.get(path).status == 200
    assert quick.delete(path).status == 204
    assert quick.delete(path).status == 204
    assert quick.get(path).status == 404


def test_what_cannot_be_a_channel(quick, receiver):
    good = {"name": "n", "provider": "webhook", "config": {"url": receiver.url}, "events": ["host.up"]}
    bad = [{"name": ""}, {"name": "a/b"}, {"name": 5}, {"provider": "smoke"}, {"provider": None}, {"config": {}},
           {"config": {"url": "ftp://x"}}, {"config": {"url": 5}}, {"config": []}, {"config": {"url": "http://x\n"}},
           {"events": []}, {"events": ["capsule.state.changed"]}, {"events": "host.up"},
           {"provider": "discord", "config": {"webhook_url": receiver.url}}]
    for change in bad:
        answer = quick.post("/v1/channels", {**good, **change})
        assert (answer.status, answer.code) == (400, "invalid_request"), (change, answer.body)
    assert quick.get("/v1/channels").json == []
    assert quick.get("/v1/channels/ch-x").status == 400
    assert quick.get("/v1/channels/ch-" + "0" * 25).status == 404
    made = add_channel(quick, receiver)
    for query in ["status=x", "limit=0", "limit=x", "before=-1", "limit=1000"]:
        assert quick.get(f"/v1/channels/{made['id']}/deliveries?{query}").status == 400, query


def test_two_of_one_name(quick, receiver):
    first = add_channel(quick, receiver, name="one")
    for name in ("one", " One "):
        answer = quick.post("/v1/channels", {"name": name, "provider": "webhook", "config": {"url": receiver.url}, "events": ALL})
        assert (answer.status, answer.code) == (409, "conflict")
    assert [one["id"] for one in quick.get("/v1/channels").json] == [first["id"]]


def test_secrets_are_encrypted_at_rest(quick, receiver):
    channel = add_channel(quick, receiver)
    with quick.database() as database:
        config = database.execute("SELECT config FROM channels").fetchone()["config"]
    assert channel["secret"] not in config and "127.0.0.1" not in config and '"url"' in config


def test_a_test_event(quick, receiver):
    answer = quick.post("/v1/channels/test", {"provider": "webhook", "config": {"url": receiver.url, "secret": "s"}})
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert receiver.accepted[0].json["event"] == "channel.test" and receiver.accepted[0].is_signed_with("s")
    matrix = {"homeserver_url": f"http://127.0.0.1:{receiver.port}", "access_token": "t", "room_id": "!r:m"}
    assert quick.post("/v1/channels/test", {"provider": "matrix", "config": matrix}).status == 200
    assert receiver.accepted[1].json["body"].startswith("Test notification")
    assert receiver.accepted[1].headers["Authorization"] == "Bearer t"
    receiver.answer = lambda _: 503
    answer = quick.post("/v1/channels/test", {"provider": "webhook", "config": {"url": receiver.url}})
    assert (answer.status, answer.code) == (502, "delivery_failed") and "503" in answer.message
    receiver.stop()
    answer = quick.post("/v1/channels/test", {"provider": "webhook", "config": {"url": receiver.url}})
    assert (answer.status, answer.code) == (502, "delivery_failed")


def test_who_tests_what_does_not_answer_holds_up_nobody(quick, receiver):
    """As many tests as there are threads for deliveries; a team may have two of them under way."""
    channel = add_channel(quick, receiver)
    silent, release = WebhookReceiver(), threading.Event()
    silent.answer = lambda _: release.wait(60) and 200

    def test(url, key):
        return quick.post("/v1/channels/test", {"provider": "webhook", "config": {"url": url}}, key=key)
    keys = [quick.add_key() for _ in range(16)]
    waiting = [in_background(lambda: test(silent.url, keys[0])) for _ in range(2)]
    wait_until(lambda: len(silent.all) == 2)
    answer = test(receiver.url, keys[0])
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (429, "rate_limited", "10")
    waiting += [in_background(lambda key=key: test(silent.url, key)) for key in keys[1:] * 2]
    wait_until(lambda: len(silent.all) == 8)
    capsule = quick.create()
    receiver.wait_for(lambda r: [one.resource for one in r.accepted] == [capsule])
    assert len(silent.all) == 8  # the others wait, and not with what is delivered
    wait_until(lambda: [d["status"] for d in deliveries(quick, channel)] == ["delivered"])
    release.set()
    for wait in waiting:
        wait()
    assert test(receiver.url, keys[0]).status == 200
    silent.stop()


def test_addresses_of_this_machine_are_refused(receiver):
    plane = make("--channels-first-retry", "50ms", "--channels-second-retry", "50ms")
    try:
        for url in [receiver.url, f"http://localhost:{receiver.port}/", f"http://[::1]:{receiver.port}/",
                    f"http://2130706433:{receiver.port}/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/"]:
            answer = plane.post("/v1/channels/test", {"provider": "webhook", "config": {"url": url}})
            assert answer.status == 400, (url, answer.body)
        channel = add_channel(plane, receiver)
        plane.create()
        wait_until(lambda: deliveries(plane, channel, "dead"))
        assert deliveries(plane, channel)[0]["attempts"] == 3
        assert receiver.all == []
    finally:
        end(plane)


def test_a_receiver_is_known_by_its_certificate(tmp_path):
    authority = Authority(str(tmp_path))
    receiver = WebhookReceiver(authority.server)
    try:
        for flags, status in (((), 502), (("--outbound-ca-file", authority.file), 200)):
            plane = make(*QUICK, *flags)
            try:
                answer = plane.post("/v1/channels/test", {"provider": "webhook", "config": {"url": receiver.url}})
                assert answer.status == status, answer.body
            finally:
                end(plane)
        assert len(receiver.accepted) == 1
    finally:
        receiver.stop()


def test_a_redirect_is_not_followed(quick, receiver):
    other = WebhookReceiver()
    try:
        receiver.answer = lambda _: (307, {"Location": other.url})
        channel = add_channel(quick, receiver)
        quick.create()
        wait_until(lambda: deliveries(quick, channel, "dead"))
        assert len(receiver.all) == 3 and other.all == []
    finally:
        other.stop()


def test_refusals_end_in_a_dead_letter_that_can_be_sent_again(quick, receiver):
    receiver.answer = lambda _: 500
    channel = add_channel(quick, receiver)
    capsule = quick.create()
    wait_until(lambda: deliveries(quick, channel, "dead"))
    dead = deliveries(quick, channel, "dead")[0]
    assert dead["attempts"] == 3 and dead["last_status"] == 500 and dead["resource"] == f"sandbox:{capsule}"
    assert "given up" in quick.log_text()
    times = [one.at for one in receiver.all]
    assert 0.15 < times[1] - times[0] < 2 and 0.35 < times[2] - times[1] < 3
    assert len({one.headers["X-Wrenn-Delivery"] for one in receiver.all}) == 3

    receiver.answer = lambda _: 204
    again = f"/v1/channels/{channel['id']}/deliveries/{dead['event_id']}/redeliver"
    assert quick.post(again).status == 204
    receiver.wait_for(lambda r: len(r.accepted) == 1)
    wait_until(lambda: deliveries(quick, channel, "delivered"))
    assert quick.post(f"/v1/channels/{channel['id']}/deliveries/nothing/redeliver").status == 404


def test_what_waits_is_not_sent_again(receiver):
    plane = make(*QUICK[:2])
    try:
        receiver.answer = lambda _: 500
        channel = add_channel(plane, receiver)
        plane.create()
        wait_until(lambda: deliveries(plane, channel, "pending"))
        path = f"/v1/channels/{channel['id']}/deliveries/{deliveries(plane, channel)[0]['event_id']}/redeliver"
        answer = plane.post(path)
        assert (answer.status, answer.code) == (409, "conflict")
    finally:
        end(plane)


def test_one_channel_that_hangs_does_not_hold_up_another(quick, receiver):
    hole = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers
    try:
        class Hole:
            url = f"http://127.0.0.1:{hole.getsockname()[1]}/"
        add_channel(quick, Hole, name="hangs")
        channel = add_channel(quick, receiver)
        for _ in range(5):
            quick.create()
        receiver.wait_for(lambda r: len(r.accepted) == 5, seconds=5)
        wait_until(lambda: len(deliveries(quick, channel, "delivered")) == 5)
    finally:
        hole.close()


def test_an_outage_costs_no_event(quick, receiver):
    channel = add_channel(quick, receiver)
    receiver.stop()
    add_events(quick, resources=20, each=10)
    wait_until(lambda: any(d["attempts"] for d in deliveries(quick, channel, "pending")), seconds=30)
    time.sleep(1.5)
    assert deliveries(quick, channel, "dead") == []
    receiver.start()
    receiver.wait_for(lambda r: len(r.accepted) >= 201)
    assert_all_in_order(receiver, resources=20, each=10)


def attempts_of_first(plane):
    """Of the deliveries that others wait for: the list of them shows the newest."""
    with plane.database() as database:
        return database.execute("SELECT COALESCE(MAX(attempts), 0) AS most FROM deliveries WHERE first = 1").fetchone()["most"]


def test_killed_and_started_again_with_events_waiting(quick, receiver):
    channel = add_channel(quick, receiver)
    receiver.stop()
    add_events(quick, resources=10, each=MANY // 10)
    wait_until(lambda: attempts_of_first(quick) > 0, seconds=30)
    quick.stop(signal.SIGKILL)
    quick.start()
    receiver.answer = lambda _: time.sleep(0.005) or 200
    receiver.start()
    receiver.wait_for(lambda r: len(r.accepted) > MANY // 3, seconds=120)
    quick.stop(signal.SIGKILL)
    quick.start()
    wait_until(lambda: len(receiver.accepted) > MANY and not deliveries(quick, channel, "pending"), seconds=120)
    assert_all_in_order(receiver, resources=10, each=MANY // 10)
    assert deliveries(quick, channel, "dead") == []


def test_a_stop_does_not_wait_for_a_receiver_that_hangs(quick, receiver):
    receiver.answer = lambda _: time.sleep(8)
    add_channel(quick, receiver)
    quick.create()
    receiver.wait_for(lambda r: len(r.all) == 1)
    began = time.monotonic()
    assert quick.stop() == 0
    assert time.monotonic() - began < 4
    quick.start()
    receiver.wait_for(lambda r: len(r.all) == 2)


def test_another_key_than_before_is_refused(quick, receiver):
    add_channel(quick, receiver)
    assert quick.stop() == 0
    flags, quick.own_database.environment = quick.flags, {**quick.own_database.environment, "WRENN_ENCRYPTION_KEY": "0" * 64}
    with pytest.raises(RuntimeError, match="is not the key"):
        quick.start()
    quick.own_database.environment["WRENN_ENCRYPTION_KEY"] = "z" * 64
    with pytest.raises(RuntimeError, match="hexadecimal"):
        quick.start()
    del quick.own_database.environment["WRENN_ENCRYPTION_KEY"]
    assert flags == quick.flags
    quick.start()


@pytest.mark.skipif(not SERVER, reason="several processes share a PostgreSQL, not a SQLite file")
def test_two_control_planes_take_over_from_each_other(quick, receiver):
    second = quick.beside()
    try:
        receiver.answer = lambda _: time.sleep(0.005) or 200
        channel = add_channel(quick, receiver)
        add_events(quick, resources=10, each=30)
        receiver.wait_for(lambda r: len(r.accepted) > 50)
        quick.stop(signal.SIGKILL)
        receiver.wait_for(lambda r: len(r.accepted) > 150)
        quick.start()
        second.stop(signal.SIGTERM)
        wait_until(lambda: len(receiver.accepted) > 300 and not deliveries(quick, channel, "pending"), seconds=30)
        assert_all_in_order(receiver, resources=10, each=30)
        assert len(receiver.accepted) < 320  # what was under way at the kill, and no more, came twice
    finally:
        second.stop()
        second.remove()


@pytest.mark.skipif(not SERVER, reason="a SQLite file has no connections that break")
def test_connections_to_the_database_break(quick, receiver):
    receiver.answer = lambda _: time.sleep(0.005) or 200
    channel = add_channel(quick, receiver)
    add_events(quick, resources=10, each=30)

    def of_its_connections(count):
        with quick.database() as database:
            return database.execute(f"SELECT COUNT({count}) FROM pg_stat_activity "
                                    "WHERE application_name = 'wrenn' AND pid <> pg_backend_pid()").fetchone()[0]
    for reached in (20, 100, 180):
        receiver.wait_for(lambda r: len(r.accepted) > reached)
        wait_until(lambda: of_its_connections("pid") > 1)  # those that were cut are opened again when somebody needs them
        assert of_its_connections("pg_terminate_backend(pid)") > 1
    receiver.wait_for(lambda r: len(r.accepted) > 300, seconds=30)
    wait_until(lambda: not deliveries(quick, channel, "pending"), seconds=30)
    assert_all_in_order(receiver, resources=10, each=30)
