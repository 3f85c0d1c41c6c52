"""GET /v1/events/stream: events as they happen, and those that were missed."""
import http.client
import json
import threading
import time

import pytest
from conftest import end, make
from control_plane import SEEN
from people import sign_up
from waiting import wait_until


class Listener:
    def __init__(self, plane, last=None, query="", key=None, path="/v1/events/stream", token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}"} if token else {"X-API-Key": key or plane.key}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.connection.request("GET", path + query, headers=headers)
        self.response = self.connection.getresponse()
        SEEN.add(("GET", path, self.response.status))
        self.socket = self.connection.sock
        self.events, self.lines, self.ended = [], [], None
        if self.response.status == 200:
            threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        event = {}
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                self.lines.append(line)
                if not line:
                    if "data" in event:
                        self.events.append({"id": event.get("id"), "type": event["event"], **json.loads(event["data"])})
                    event = {}
                elif not line.startswith(":"):
                    name, value = line.split(": ", 1)
                    event[name] = value
            self.ended = "cleanly"
        except Exception as error:
            self.ended = repr(error)

    def durable(self):
        return [e for e in self.events if e["id"]]

    def types(self):
        return [e["type"] for e in self.durable()]

    def close(self):
        self.response.close()
        self.connection.close()


def once_served(plane, *args, **more):
    """A listener; a process that has just been started may ask for patience at first (503)."""
    opened = []

    def is_served():
        opened.append(Listener(plane, *args, **more))
        return opened[-1].response.status != 503
    wait_until(is_served)
    return opened[-1]


@pytest.fixture
def listen(plane):
    opened = []

    def start(*args, **more):
        opened.append(once_served(plane, *args, **more))
        return opened[-1]
    yield start
    for one in opened:
        if one.ended is None and one.response.status == 200:
            one.socket.shutdown(2)


def test_what_happens_is_told_as_it_happens(plane, listen):
    listener = listen()
    assert listener.response.getheader("Content-Type") == "text/event-stream"
    wait_until(lambda: "retry: 3000" in listener.lines)
    capsule = plane.create()
    plane.post(f"/v1/capsules/{capsule}/pause")
    wait_until(lambda: listener.types() == ["capsule.create", "capsule.pause"])
    assert listener.durable()[0]["event"] == "capsule.create"
    ids = [int(e["id"]) for e in listener.durable()]
    assert ids == sorted(ids)

    def changes():  # what is not kept comes by a way of its own, maybe after what is
        return [(e["metadata"]["from"], e["metadata"]["to"]) for e in listener.events if e["type"] == "capsule.state.changed"]
    wait_until(lambda: changes()[-2:] == [("running", "pausing"), ("pausing", "paused")])
    assert all(e["resource"]["id"] == capsule for e in listener.events)
    with plane.database() as database:
        kept = {row["type"] for row in database.execute("SELECT type FROM events").fetchall()}
    assert "capsule.state.changed" not in kept


def test_what_was_missed_is_told_first(plane, listen):
    first = listen()
    wait_until(lambda: first.lines)
    capsule = plane.create()
    wait_until(lambda: len(first.durable()) == 1)
    first.socket.shutdown(2)
    plane.post(f"/v1/capsules/{capsule}/pause")
    plane.post(f"/v1/capsules/{capsule}/resume")
    last = first.durable()[0]["id"]
    for again in (listen(last=last), listen(query=f"?last_event_id={last}")):
        wait_until(lambda: again.types() == ["capsule.pause", "capsule.resume"])
    everything = listen(last=0)
    wait_until(lambda: everything.types() == ["capsule.create", "capsule.pause", "capsule.resume"])
    plane.delete(f"/v1/capsules/{capsule}")
    wait_until(lambda: everything.types()[-1] == "capsule.destroy")
    assert len({e["id"] for e in everything.durable()}) == 4
    new = listen()
    time.sleep(0.3)
    assert new.durable() == []


def test_others_are_told_nothing(plane, listen):
    stranger = listen(key=plane.add_key())
    listener = listen()
    wait_until(lambda: listener.lines and stranger.lines)
    plane.create()
    wait_until(lambda: listener.types() == ["capsule.create"])
    assert stranger.events == []
    for last in ("x", "-1"):
        assert listen(last=last).response.status == 400
    assert listen(key="wrn_" + "0" * 32).response.status == 401


def test_a_restart_is_the_end_and_nothing_is_missed(plane, listen):
    listener = listen()
    wait_until(lambda: listener.lines)
    capsule = plane.create()
    wait_until(lambda: len(listener.durable()) == 1)
    began = time.monotonic()
    assert plane.stop() == 0
    assert time.monotonic() - began < 5
    wait_until(lambda: listener.ended == "cleanly")
    plane.start()
    plane.delete(f"/v1/capsules/{capsule}")
    again = listen(last=listener.durable()[-1]["id"])
    wait_until(lambda: again.types() == ["capsule.destroy"])


def test_many_listeners():
    plane = make()
    try:
        listeners = [once_served(plane) for _ in range(200)]
        wait_until(lambda: all(one.lines for one in listeners))
        plane.create()
        wait_until(lambda: all(one.types() == ["capsule.create"] for one in listeners), seconds=20)
        for one in listeners:
            one.socket.shutdown(2)
    finally:
        end(plane)


@pytest.mark.parametrize("path", ["/v1/events/stream", "/v1/admin/events/stream"])
def test_before_events_can_be_read(path):
    """Nobody is told that there is nothing when it is not known."""
    plane = make(mails=True)
    try:
        admin = sign_up(plane)
        plane.stop()
        with plane.database() as database:
            database.execute("ALTER TABLE event_streams RENAME TO streams_away")
        plane.start()
        refused = Listener(plane, path=path, token=admin.token)
        assert (refused.response.status, json.load(refused.response)["error"]["code"]) == (503, "overloaded")
        with plane.database() as database:
            database.execute("ALTER TABLE streams_away RENAME TO event_streams")
        served = once_served(plane, path=path, token=admin.token)
        assert served.response.status == 200
        served.socket.shutdown(2)
    finally:
        end(plane)
