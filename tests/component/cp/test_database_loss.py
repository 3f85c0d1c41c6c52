"""PostgreSQL goes away and comes back under load: requests succeed or say 503, and nothing is lost or half done."""
import signal
import threading
import time

import pytest
from conftest import end
from control_plane import ControlPlane
from fake_agent import FakeAgent
from own_server import PROGRAMS, OwnServer
from waiting import wait_until

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server is installed")


@pytest.fixture(scope="module")
def server():
    one = OwnServer()
    yield one
    one.remove()


@pytest.fixture
def plane(server):
    with server.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    agent = FakeAgent()
    one = ControlPlane(agent.address, database=server)
    one.agent = agent
    yield one
    end(one)


class Load:
    """Threads that make capsules and destroy them, and remember what they were told."""

    def __init__(self, plane, threads=4):
        self.plane, self.over, self.statuses, self.living, self.odd = plane, False, [], set(), []
        self.threads = [threading.Thread(target=self.work) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def ask(self, method, path, body=None):
        answer = self.plane.request(method, path, body)
        self.statuses.append(answer.status)
        if answer.status == 503:
            if not answer.headers["Retry-After"] or answer.code not in ("db_unavailable", "overloaded"):
                self.odd.append((method, path, answer.body))
        elif answer.status not in (200, 201, 204, 404, 409):
            self.odd.append((method, path, answer.status, answer.body))
        return answer

    def work(self):
        while not self.over:
            made = self.ask("POST", "/v1/capsules", {})
            if made.status != 201:
                time.sleep(0.02)
                continue
            id = made.json["id"]
            self.living.add(id)
            self.ask("GET", f"/v1/capsules/{id}")
            if len(self.living) > 20 and self.ask("DELETE", f"/v1/capsules/{id}").status == 204:
                self.living.discard(id)

    def end(self):
        self.over = True
        for thread in self.threads:
            thread.join(60)
        assert not self.odd, self.odd[:3]


def assert_nothing_is_lost(plane, load):
    """What was told to be made is there; no row and no machine is left in between."""
    def settled():
        with plane.database() as database:
            rows = {row["id"]: row["status"] for row in database.execute("SELECT id, status FROM sandboxes").fetchall()}
        live = {id for id, status in rows.items() if status == "running"}
        return all(status in ("running", "stopped", "error") for status in rows.values()) and live == set(plane.agent.sandboxes)
    wait_until(settled, 90)
    for id in load.living:
        assert plane.get(f"/v1/capsules/{id}").json["status"] in ("running", "stopped"), id


@pytest.mark.parametrize("how", ["connections cut", "restarted", "crashed"])
def test_under_load(plane, server, how):
    load = Load(plane)
    try:
        for _ in range(3):
            time.sleep(0.7)
            if how == "connections cut":
                with server.connect() as connection:
                    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'wrenn'")
            else:
                server.stop(signal.SIGINT if how == "restarted" else signal.SIGQUIT)
                server.start()
        wait_until(lambda: load.statuses.count(201) > 20, 30)  # also on a slow disk
    finally:
        time.sleep(0.7)
        load.end()
    if how != "connections cut":
        assert 503 in load.statuses
    assert plane.process.poll() is None
    assert_nothing_is_lost(plane, load)


def test_while_it_is_away(plane, server):
    made = plane.create()
    assert plane.get("/readyz", key=None).json == {"status": "ready", "database": "ok", "stopping": False}
    server.stop()
    try:
        for path in ("/v1/capsules", f"/v1/capsules/{made}"):
            answer = plane.get(path)
            assert (answer.status, answer.code) == (503, "db_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        answer = plane.get("/readyz", key=None)
        assert (answer.status, answer.json["database"]) == (503, "unavailable")
        assert plane.get("/health", key=None).status == 200  # restarting this process would help nobody
    finally:
        server.start()
    wait_until(lambda: plane.get("/readyz", key=None).status == 200, 20)
    assert plane.get(f"/v1/capsules/{made}").json["status"] == "running"
