"""A destroy that meets other operations: one end, told once, and nothing is left on the host."""
import threading
import time

from fake_agent import Fail
from own_database import SERVER
from waiting import in_background, wait_until


def ends_told(plane, capsule):
    with plane.database() as database:
        return database.execute("SELECT COUNT(*) FROM audit_logs WHERE resource_id = ? AND action = 'destroy'", (capsule,)).fetchone()[0]


def test_several_that_begin_at_once(slow):
    """Each has looked at the row before one of them has changed it: another must not keep that one from its end."""
    capsule = slow.create()
    with slow.database() as database:
        # All of them wait for this, each with its change.
        database.execute("SELECT 1 FROM sandboxes WHERE id = ? FOR UPDATE" if SERVER else "BEGIN IMMEDIATE", (capsule,) if SERVER else ())
        answers = [in_background(lambda: slow.delete(f"/v1/capsules/{capsule}")) for _ in range(3)]
        time.sleep(0.5)
    assert [wait().status for wait in answers] == [204] * 3
    assert slow.row(capsule)["status"] == "stopped"
    assert ends_told(slow, capsule) == 1


def fails_when_told(then):
    """A handler that fails once the event is set; `then` is done just before."""
    go_on = threading.Event()

    def handler(agent, request):
        go_on.wait(20)
        then(agent, request)
        raise Fail("internal", "the kernel panicked")
    return handler, go_on


def test_during_a_create_that_fails(slow):
    """What the create had made by then goes as well, but the capsule ends once."""
    slow.agent.on["CreateSandbox"], go_on = fails_when_told(lambda agent, request: agent.create(request))
    created = in_background(lambda: slow.post("/v1/capsules", {}))
    wait_until(lambda: slow.agent.called("CreateSandbox"))
    capsule = slow.agent.called("CreateSandbox")[0]["sandboxId"]
    assert slow.delete(f"/v1/capsules/{capsule}").status == 204
    go_on.set()
    assert created().status == 502
    assert slow.stop() == 0  # all that was begun has ended
    assert slow.agent.sandboxes == {}
    assert slow.row(capsule)["status"] == "stopped"
    assert ends_told(slow, capsule) == 1
    slow.start()


def test_of_a_child_during_a_fork_that_fails(slow):
    parent = slow.create()
    slow.agent.on["ForkSandbox"], go_on = fails_when_told(lambda agent, request: agent.fork(request))
    forked = in_background(lambda: slow.post(f"/v1/capsules/{parent}/fork", {"count": 3}))
    wait_until(lambda: slow.agent.called("ForkSandbox"))
    children = [child["sandboxId"] for child in slow.agent.called("ForkSandbox")[0]["children"]]
    assert slow.delete(f"/v1/capsules/{children[1]}").status == 204
    go_on.set()
    assert forked().status == 502
    assert slow.stop() == 0
    assert set(slow.agent.sandboxes) == {parent}
    assert [slow.row(child)["status"] for child in children] == ["error", "stopped", "error"]
    assert [ends_told(slow, child) for child in children] == [1, 1, 1]
    slow.start()
