"""What is told of snapshots, whoever learns of their end: once each, and of whom."""
import http.client
import json
import threading

from fake_agent import Drop, FakeAgent
from test_snapshots import made, names, on_agent, rows, snapshot, sync
from waiting import in_background, wait_until


def told(plane):
    """(outcome, actor, inferred) of each event about a template that was made, and of each line of the audit log."""
    with plane.database() as database:
        events = [json.loads(row["payload"]) for row in database.execute(
            "SELECT payload FROM events WHERE type = 'template.snapshot.create' ORDER BY created_at").fetchall()]
        lines = [tuple(row) for row in database.execute(
            "SELECT status, actor_name, metadata FROM audit_logs WHERE resource_type = 'snapshot' AND action = 'create' "
            "ORDER BY created_at").fetchall()]
    of_events = [(one["outcome"], one["actor"]["name"], one["metadata"].get("inferred")) for one in events]
    of_lines = [(status, actor, json.loads(metadata).get("inferred")) for status, actor, metadata in lines]
    assert of_events == of_lines
    assert all(bool(one["error"]) == (one["outcome"] == "error") for one in events)
    return of_events


def ask(plane, capsule, **more):
    """In the background, whatever becomes of the control plane."""
    def work():
        try:
            return snapshot(plane, capsule, "mine", **more)
        except (OSError, http.client.HTTPException, ValueError):
            return "gone"
    return in_background(work)


def as_dev(agent, request):
    made_ = FakeAgent.create_snapshot(agent, request)
    made_["defaultUser"] = "dev"
    return made_


def test_one_that_is_made(plane):
    made(plane, plane.create(), "mine")
    sync(plane)
    assert told(plane) == [("success", "k", None)]


def test_the_host_tells_before_it_answers(slow):
    plane = slow
    capsule, go_on = plane.create(), threading.Event()

    def make_and_wait(agent, request):
        made_ = as_dev(agent, request)
        go_on.wait(20)
        return made_
    plane.agent.on["CreateSnapshot"] = make_and_wait
    making = ask(plane, capsule)
    wait_until(lambda: on_agent(plane))
    sync(plane)
    assert told(plane) == [("success", "k", "true")]
    go_on.set()
    assert making().status == 201
    assert told(plane) == [("success", "k", "true")]
    assert names(plane) == ["mine"]


def test_the_host_tells_before_the_answer_is_lost(slow):
    plane = slow
    capsule, go_on = plane.create(), threading.Event()

    def make_and_vanish(agent, request):
        as_dev(agent, request)
        go_on.wait(20)
        raise Drop()
    plane.agent.on["CreateSnapshot"] = make_and_vanish
    making = ask(plane, capsule)
    wait_until(lambda: on_agent(plane))
    sync(plane)
    go_on.set()
    assert making().status == 503
    # It is there, and everybody was told so: as after an overwrite, the host's word counts.
    assert told(plane) == [("success", "k", "true")]
    assert names(plane) == ["mine"]
    plane.create(template="mine")


def test_the_control_plane_dies(plane):
    capsule, go_on = plane.create(), threading.Event()

    def wait_and_make(agent, request):
        go_on.wait(20)
        return as_dev(agent, request)
    plane.agent.on["CreateSnapshot"] = wait_and_make
    ask(plane, capsule)
    wait_until(lambda: plane.agent.called("CreateSnapshot"))
    plane.stop(9)
    assert told(plane) == []
    plane.start()
    go_on.set()
    wait_until(lambda: on_agent(plane))
    sync(plane)
    wait_until(lambda: names(plane) == ["mine"])
    assert told(plane) == [("success", "k", "true")]
    assert json.loads(rows(plane, "SELECT metadata FROM templates WHERE name = 'mine'")[0][0])["kernel_version"] == "6.1"
    plane.create(template="mine")
    assert plane.agent.called("CreateSandbox")[-1]["defaultUser"] == "dev"
    sync(plane)
    assert len(told(plane)) == 1


def test_what_is_never_finished(plane):
    capsule = plane.create()
    team = plane.row(capsule)["team_id"]
    for name in ("old", "older"):
        with plane.database() as database:
            database.execute("INSERT INTO templates (id, team_id, name, type, created_at, making_until, by_type, by_id, by_name) "
                             "VALUES (?, ?, ?, 'snapshot', 1, 2, 'api_key', 'key-x', ?)", (name.rjust(25, "0"), team, name, name))
    made(plane, capsule, "old")
    assert told(plane)[0] == ("error", "old", "true")
    sync(plane)
    wait_until(lambda: rows(plane) == [("old",)])
    assert sorted(told(plane)) == [("error", "old", "true"), ("error", "older", "true"), ("success", "k", None)]


def test_one_that_fails(plane):
    def fail(agent, request):
        raise Drop()
    capsule = plane.create()
    plane.agent.on["CreateSnapshot"] = fail
    assert snapshot(plane, capsule, "mine").status == 503
    sync(plane)
    assert told(plane) == [("error", "k", None)]


def test_an_overwrite_whose_answer_is_lost_has_the_new_user(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")

    def make_and_vanish(agent, request):
        as_dev(agent, request)
        raise Drop()
    plane.agent.on["CreateSnapshot"] = make_and_vanish
    assert snapshot(plane, capsule, "mine", "true").status == 503
    wait_until(lambda: rows(plane, "SELECT default_user FROM templates WHERE name = 'mine'") == [("dev",)])
    plane.create(template="mine")
    assert plane.agent.called("CreateSandbox")[-1]["defaultUser"] == "dev"
