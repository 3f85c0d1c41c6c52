"""Checkpoints and rollback: the agent has them, their ids are ours, names belong to one."""
import http.client
import re

import pytest
from fake_agent import Drop, Fail, FakeAgent, held, late
from waiting import in_background, wait_until


def checkpoint(plane, capsule, name=None):
    answer = plane.post(f"/v1/capsules/{capsule}/checkpoints", {"name": name} if name else None)
    assert answer.status == 201, answer.body
    return answer.json


def listed(plane, capsule):
    answer = plane.get(f"/v1/capsules/{capsule}/checkpoints")
    assert answer.status == 200
    return answer.json["checkpoints"]


def rollback(plane, capsule, which, **more):
    return plane.post(f"/v1/capsules/{capsule}/rollback", {"checkpoint": which}, **more)


def test_the_whole_way(plane):
    capsule = plane.create()
    assert listed(plane, capsule) == []
    first, second = checkpoint(plane, capsule, "before"), checkpoint(plane, capsule)
    assert first == {"id": first["id"], "name": "before", "created_at": "2023-11-14T22:13:20Z", "size_bytes": 4096}
    assert "name" not in second
    for one in (first, second):
        assert re.fullmatch("cp-[0-9a-z]{25}", one["id"])
    assert listed(plane, capsule) == [first, second]
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"

    for which in ("before", second["id"], "before"):
        answer = rollback(plane, capsule, which)
        assert (answer.status, answer.json["id"], answer.json["status"]) == (200, capsule, "running")
        assert answer.json["host_ip"] == "10.11.0.4"
        assert answer.json["envd_access_token"] == "token-of-" + capsule
    asked = [one["checkpointId"] for one in plane.agent.called("RollbackSandbox")]
    assert asked == [first["id"], second["id"], first["id"]]

    assert plane.delete(f"/v1/capsules/{capsule}/checkpoints/before").status == 204
    assert plane.delete(f"/v1/capsules/{capsule}/checkpoints/{second['id']}").status == 204
    assert listed(plane, capsule) == []
    answer = plane.delete(f"/v1/capsules/{capsule}/checkpoints/before")
    assert (answer.status, answer.code) == (404, "not_found")
    assert "before" in answer.message


def test_of_a_paused_capsule(plane):
    capsule = plane.create()
    checkpoint(plane, capsule, "awake")
    plane.post(f"/v1/capsules/{capsule}/pause")
    checkpoint(plane, capsule, "asleep")
    assert [one["name"] for one in listed(plane, capsule)] == ["awake", "asleep"]
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "paused"
    # It goes on from there.
    assert rollback(plane, capsule, "awake").json["status"] == "running"


def test_names_belong_to_one(plane):
    capsule, other = plane.create(), plane.create()
    checkpoint(plane, capsule, "a")
    answer = plane.post(f"/v1/capsules/{capsule}/checkpoints", {"name": "a"})
    assert (answer.status, answer.code) == (409, "conflict")
    assert "a already" in answer.message
    checkpoint(plane, other, "a")
    # At once: none of them stands in the agent's list yet.
    plane.agent.on["CreateCheckpoint"] = late(0.4, FakeAgent.create_checkpoint)
    answers = [in_background(lambda: plane.post(f"/v1/capsules/{capsule}/checkpoints", {"name": "b"})) for _ in range(5)]
    assert sorted(wait().status for wait in answers) == [201, 409, 409, 409, 409]
    assert [one["name"] for one in listed(plane, capsule)] == ["a", "b"]
    # Without a name they do not meet.
    answers = [in_background(lambda: plane.post(f"/v1/capsules/{capsule}/checkpoints")) for _ in range(3)]
    assert [wait().status for wait in answers] == [201] * 3
    # A name is free again when its checkpoint is gone, or has failed.
    plane.delete(f"/v1/capsules/{capsule}/checkpoints/a")
    checkpoint(plane, capsule, "a")

    def fail(agent, request):
        raise Fail("internal", "disk full")
    plane.agent.on["CreateCheckpoint"] = fail
    assert plane.post(f"/v1/capsules/{capsule}/checkpoints", {"name": "c"}).status == 502
    del plane.agent.on["CreateCheckpoint"]
    checkpoint(plane, capsule, "c")


def test_a_checkpoint_whose_answer_is_lost_does_not_stay(plane):
    capsule = plane.create()

    def make_and_vanish(agent, request):
        agent.create_checkpoint(request)
        raise Drop()
    plane.agent.on["CreateCheckpoint"] = make_and_vanish
    answer = plane.post(f"/v1/capsules/{capsule}/checkpoints", {"name": "a"})
    assert (answer.status, answer.code) == (503, "host_unavailable")
    wait_until(lambda: plane.agent.checkpoints[capsule] == [])
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"


def test_the_client_goes_away(plane):
    capsule = plane.create()
    plane.agent.on["CreateCheckpoint"] = late(0.5, FakeAgent.create_checkpoint)
    connection = http.client.HTTPConnection("127.0.0.1", plane.port)
    connection.request("POST", f"/v1/capsules/{capsule}/checkpoints", body='{"name":"a"}', headers={"X-API-Key": plane.key})
    wait_until(lambda: plane.agent.called("CreateCheckpoint"))
    connection.close()
    wait_until(lambda: [one.get("name") for one in listed(plane, capsule)] == ["a"])


def test_of_what_does_not_live(slow):
    plane = slow
    capsule = plane.create()
    made = checkpoint(plane, capsule)
    plane.delete(f"/v1/capsules/{capsule}")
    answers = [plane.post(f"/v1/capsules/{capsule}/checkpoints"), plane.get(f"/v1/capsules/{capsule}/checkpoints"),
               plane.delete(f"/v1/capsules/{capsule}/checkpoints/{made['id']}"), rollback(plane, capsule, made["id"])]
    for answer in answers:
        assert (answer.status, answer.code) == (409, "invalid_state")
        assert answer.message in [f"sandbox is not {states} (status: stopped)" for states in ("running or paused", "running, paused or failed")]


def test_nothing_interleaves_with_a_rollback(slow):
    plane = slow
    capsule = plane.create()
    checkpoint(plane, capsule, "a")
    plane.agent.on["RollbackSandbox"], go_on = held(FakeAgent.rollback)
    rolling = in_background(lambda: rollback(plane, capsule, "a"))
    plane.wait_for_row(capsule, "resuming")
    assert plane.row(capsule)["status_deadline"]
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "starting"
    for route, body in (("pause", {}), ("resume", {}), ("exec", {"cmd": "x"}), ("fork", {}), ("checkpoints", {}),
                        ("rollback", {"checkpoint": "a"}), ("ping", {})):
        answer = plane.post(f"/v1/capsules/{capsule}/{route}", body)
        assert (answer.status, answer.code) == (409, "invalid_state"), route
    assert plane.post("/v1/snapshots", {"sandbox_id": capsule}).status == 409
    assert [one["name"] for one in listed(plane, capsule)] == ["a"]
    go_on.set()
    assert rolling().json["status"] == "running"
    assert len(plane.agent.called("RollbackSandbox")) == 1


def test_an_unknown_checkpoint_stops_nothing(plane):
    capsule = plane.create()
    answer = rollback(plane, capsule, "no-such-thing")
    assert (answer.status, answer.code) == (404, "not_found")
    assert plane.row(capsule)["status"] == "running"
    assert plane.agent.called("RollbackSandbox") == []


@pytest.mark.parametrize("becomes", ["running", "paused", "error"])
def test_a_rollback_that_fails(plane, becomes):
    capsule = plane.create()
    checkpoint(plane, capsule, "a")

    def fail(agent, request):
        agent.sandboxes[request["sandboxId"]]["status"] = becomes
        raise Fail("internal", "the image is broken")
    plane.agent.on["RollbackSandbox"] = fail
    answer = rollback(plane, capsule, "a")
    assert (answer.status, answer.code) == (502, "agent_error")
    assert "the image is broken" in answer.message
    # It is what its host says.
    assert plane.row(capsule)["status"] == becomes


def test_back_from_a_failure(plane):
    """What has failed has nothing left but its checkpoints."""
    capsule = plane.create()
    checkpoint(plane, capsule, "a")

    def fail(agent, request):
        agent.sandboxes[request["sandboxId"]]["status"] = "error"
        raise Fail("internal", "the image is broken")
    plane.agent.on["RollbackSandbox"] = fail
    rollback(plane, capsule, "a")
    assert plane.row(capsule)["status"] == "error"
    del plane.agent.on["RollbackSandbox"]
    assert [one["name"] for one in listed(plane, capsule)] == ["a"]
    answer = plane.post(f"/v1/capsules/{capsule}/checkpoints", {"name": "b"})
    assert (answer.status, answer.code) == (409, "invalid_state")
    answer = rollback(plane, capsule, "a")
    assert answer.status == 200 and answer.json["status"] == "running"


def test_a_rollback_whose_answer_is_lost(plane):
    capsule = plane.create()
    checkpoint(plane, capsule, "a")

    def roll_and_vanish(agent, request):
        agent.rollback(request)
        raise Drop()
    plane.agent.on["RollbackSandbox"] = roll_and_vanish
    assert rollback(plane, capsule, "a").status == 503
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"


def test_destroy_during_a_rollback(plane):
    capsule = plane.create()
    checkpoint(plane, capsule, "a")
    plane.agent.on["RollbackSandbox"], go_on = held(lambda agent, request: {"sandboxId": request["sandboxId"], "status": "running"})
    rolling = in_background(lambda: rollback(plane, capsule, "a"))
    plane.wait_for_row(capsule, "resuming")
    assert plane.delete(f"/v1/capsules/{capsule}").status == 204
    go_on.set()
    assert (rolling().status, rolling().code) == (409, "conflict")
    assert plane.row(capsule)["status"] == "stopped"


def test_a_late_rollback_is_answered_early(impatient):
    plane = impatient
    capsule = plane.create()
    checkpoint(plane, capsule, "a")
    plane.agent.on["RollbackSandbox"], go_on = held(FakeAgent.rollback)
    assert rollback(plane, capsule, "a").json["status"] == "starting"
    go_on.set()
    plane.wait_for_row(capsule, "running")
    plane.agent.on["RollbackSandbox"] = late(0.8, FakeAgent.rollback)
    assert rollback(plane, capsule, "a", headers={"Prefer": "wait=10"}).json["status"] == "running"


def test_the_host_is_away(slow):
    plane = slow
    capsule = plane.create()
    checkpoint(plane, capsule, "a")
    plane.agent.stop()
    answers = [plane.post(f"/v1/capsules/{capsule}/checkpoints"), plane.get(f"/v1/capsules/{capsule}/checkpoints"),
               rollback(plane, capsule, "a")]
    for answer in answers:
        assert (answer.status, answer.code) == (503, "host_unavailable")
    assert plane.row(capsule)["status"] == "running"
