"""Forks: all children run or none exists, whatever the agent, the client or another request does meanwhile."""
import http.client
import json

import pytest
from fake_agent import Drop, Fail, FakeAgent, held, late
from waiting import in_background, wait_until


def fork(plane, capsule, **fields):
    return plane.post(f"/v1/capsules/{capsule}/fork", fields)


def children_asked_for(plane, call=0):
    return [child["sandboxId"] for child in plane.agent.called("ForkSandbox")[call]["children"]]


def test_the_whole_way(plane):
    parent = plane.create(template="minimal", vcpus=2, memory_mb=256, timeout_sec=60)
    answer = fork(plane, parent, count=3, metadata={"purpose": "test"})
    assert answer.status == 201
    children = answer.json["capsules"]
    ids = [child["id"] for child in children]
    assert ids == children_asked_for(plane) and len(set(ids)) == 3 and parent not in ids
    for child in children:
        assert child["status"] == "running"
        assert (child["template"], child["vcpus"], child["memory_mb"], child["timeout_sec"]) == ("minimal", 2, 256, 60)
        assert child["host_ip"] == "10.11.0.9"
        assert child["envd_access_token"] == "token-of-" + child["id"]
        assert child["metadata"] == {"purpose": "test", "agent_version": "test"}
        assert plane.get(f"/v1/capsules/{child['id']}").json == child
        assert plane.row(child["id"])["host_id"] == plane.row(parent)["host_id"]
        assert plane.row(child["id"])["disk_size_mb"] == 5120
        assert plane.post(f"/v1/capsules/{child['id']}/exec", {"cmd": "x"}).status == 200
    assert plane.get(f"/v1/capsules/{parent}").json["status"] == "running"
    assert {one["id"] for one in plane.get("/v1/capsules").json} == {parent, *ids}
    # A child is a capsule as any other: it has children, and outlives its parent.
    assert plane.delete(f"/v1/capsules/{parent}").status == 204
    assert fork(plane, ids[0]).status == 201


def test_defaults(plane):
    parent = plane.create(timeout_sec=60)
    answer = plane.post(f"/v1/capsules/{parent}/fork")
    assert (answer.status, len(answer.json["capsules"])) == (201, 1)
    assert plane.agent.called("ForkSandbox")[0]["children"][0]["timeoutSec"] == 60
    assert fork(plane, parent, timeout_sec=0).json["capsules"][0]["timeout_sec"] == 0
    assert plane.agent.called("ForkSandbox")[1]["children"][0]["timeoutSec"] == 0


def test_a_hundred(plane):
    parent = plane.create()
    answer = fork(plane, parent, count=100)
    assert (answer.status, len(answer.json["capsules"])) == (201, 100)
    assert len(plane.get("/v1/capsules").json) == 101


def test_of_a_paused_capsule(plane):
    parent = plane.create()
    plane.post(f"/v1/capsules/{parent}/pause")
    assert [child["status"] for child in fork(plane, parent, count=2).json["capsules"]] == ["running"] * 2
    assert plane.get(f"/v1/capsules/{parent}").json["status"] == "paused"


def test_of_what_is_neither(slow):
    plane = slow
    parent = plane.create()
    plane.agent.on["PauseSandbox"], go_on = held(FakeAgent.pause)
    pausing = in_background(lambda: plane.post(f"/v1/capsules/{parent}/pause"))
    plane.wait_for_row(parent, "pausing")
    answer = fork(plane, parent)
    assert (answer.status, answer.code, answer.message) == (409, "invalid_state",
                                                            "sandbox is not running or paused (status: pausing)")
    go_on.set()
    assert pausing().status == 200
    plane.delete(f"/v1/capsules/{parent}")
    assert fork(plane, parent).status == 409
    assert plane.agent.called("ForkSandbox") == []


@pytest.mark.parametrize("code,status,public", [("internal", 502, "agent_error"), ("resource_exhausted", 507, "resource_exhausted"),
                                                ("failed_precondition", 409, "conflict"), ("unimplemented", 501, "agent_error")])
def test_the_agent_refuses(plane, code, status, public):
    parent = plane.create()

    def half_then_fail(agent, request):
        # An agent that breaks its promise and leaves a child behind: it must go as well.
        child = request["children"][0]["sandboxId"]
        agent.sandboxes[child] = {**agent.sandboxes[request["sandboxId"]], "sandboxId": child}
        raise Fail(code, "because")
    plane.agent.on["ForkSandbox"] = half_then_fail
    answer = fork(plane, parent, count=4)
    assert (answer.status, answer.code) == (status, public)
    assert "because" in answer.message
    ids = children_asked_for(plane)
    assert len(ids) == 4
    for child in ids:
        assert plane.row(child)["status"] == "error"
        assert "because" in plane.get(f"/v1/capsules/{child}").json["metadata"]["reason"]
    assert [one["id"] for one in plane.get("/v1/capsules").json] == [parent]
    wait_until(lambda: set(plane.agent.sandboxes) == {parent})
    assert plane.get(f"/v1/capsules/{parent}").json["status"] == "running"


@pytest.mark.parametrize("lie", ["one less", "one paused", "none"])
def test_the_agent_lies(plane, lie):
    parent = plane.create()

    def answer_wrongly(agent, request):
        told = agent.fork(request)["sandboxes"]
        if lie == "one less":
            return {"sandboxes": told[:-1]}
        if lie == "none":
            return {}
        return {"sandboxes": told[:-1] + [{**told[-1], "status": "paused"}]}
    plane.agent.on["ForkSandbox"] = answer_wrongly
    answer = fork(plane, parent, count=3)
    assert (answer.status, answer.code) == (502, "agent_error")
    assert {plane.row(child)["status"] for child in children_asked_for(plane)} == {"error"}
    wait_until(lambda: set(plane.agent.sandboxes) == {parent})


def test_the_answer_is_lost(plane):
    parent = plane.create()

    def fork_and_vanish(agent, request):
        agent.fork(request)
        raise Drop()
    plane.agent.on["ForkSandbox"] = fork_and_vanish
    answer = fork(plane, parent, count=5)
    assert (answer.status, answer.code) == (503, "host_unavailable")
    wait_until(lambda: set(plane.agent.sandboxes) == {parent})
    assert {plane.row(child)["status"] for child in children_asked_for(plane)} == {"error"}


def test_the_agent_dies_in_the_middle(plane):
    parent = plane.create()
    port, sandboxes = plane.agent.port, dict(plane.agent.sandboxes)
    plane.agent.on["ForkSandbox"] = late(5, FakeAgent.fork)
    answer = in_background(lambda: fork(plane, parent, count=2))
    wait_until(lambda: plane.agent.called("ForkSandbox"))
    ids = children_asked_for(plane)
    assert {plane.row(child)["status"] for child in ids} == {"starting"}
    plane.agent.stop()
    assert answer().status == 503
    # It comes back with what it had made: the reconciler destroys that.
    plane.agent = FakeAgent(port)
    plane.agent.sandboxes = {**sandboxes, **{child: {"sandboxId": child, "status": "running"} for child in ids}}
    wait_until(lambda: set(plane.agent.sandboxes) == {parent})
    assert plane.wait_for_row(parent, "running")


def test_nobody_answers(slow):
    plane = slow
    parent = plane.create()
    plane.agent.stop()
    answer = fork(plane, parent, count=2)
    assert (answer.status, answer.code) == (503, "host_unavailable")
    assert len(plane.get("/v1/capsules").json) == 1


def test_the_client_goes_away(plane):
    parent = plane.create()
    plane.agent.on["ForkSandbox"] = late(0.7, FakeAgent.fork)
    connection = http.client.HTTPConnection("127.0.0.1", plane.port)
    connection.request("POST", f"/v1/capsules/{parent}/fork", body=json.dumps({"count": 2}), headers={"X-API-Key": plane.key})
    wait_until(lambda: plane.agent.called("ForkSandbox"))
    connection.close()
    for child in children_asked_for(plane):
        plane.wait_for_row(child, "running")


def test_a_late_fork_is_answered_early(impatient):
    plane = impatient
    parent = plane.create()
    plane.agent.on["ForkSandbox"], go_on = held(FakeAgent.fork)
    answer = fork(plane, parent, count=2)
    assert (answer.status, [child["status"] for child in answer.json["capsules"]]) == (201, ["starting"] * 2)
    go_on.set()
    for child in answer.json["capsules"]:
        plane.wait_for_row(child["id"], "running")
    plane.agent.on["ForkSandbox"] = late(1.0, FakeAgent.fork)
    answer = plane.post(f"/v1/capsules/{parent}/fork", {}, headers={"Prefer": "wait=10"})
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert answer.json["capsules"][0]["status"] == "running"


def test_the_parent_is_destroyed_meanwhile(plane):
    parent = plane.create()
    plane.agent.on["ForkSandbox"], go_on = held(FakeAgent.fork)
    answer = in_background(lambda: fork(plane, parent, count=2))
    wait_until(lambda: plane.agent.called("ForkSandbox"))
    assert plane.delete(f"/v1/capsules/{parent}").status == 204
    go_on.set()
    # The agent lost the race: it has no such capsule any more.
    assert (answer().status, answer().code) == (404, "not_found")
    assert plane.row(parent)["status"] == "stopped"
    assert {plane.row(child)["status"] for child in children_asked_for(plane)} == {"error"}
    assert plane.agent.sandboxes == {}


def test_a_child_is_destroyed_meanwhile(plane):
    parent = plane.create()
    plane.agent.on["ForkSandbox"], go_on = held(FakeAgent.fork)
    answer = in_background(lambda: fork(plane, parent, count=3))
    wait_until(lambda: plane.agent.called("ForkSandbox"))
    first, second, third = children_asked_for(plane)
    assert plane.delete(f"/v1/capsules/{second}").status == 204
    go_on.set()
    told = answer()
    assert told.status == 201
    assert [(child["id"], child["status"]) for child in told.json["capsules"]] == [
        (first, "running"), (second, "stopped"), (third, "running")]
    wait_until(lambda: set(plane.agent.sandboxes) == {parent, first, third})


def test_two_forks_of_one_parent(plane):
    parent = plane.create()
    plane.agent.on["ForkSandbox"] = late(0.3, FakeAgent.fork)
    answers = [in_background(lambda: fork(plane, parent, count=3)) for _ in range(4)]
    ids = {child["id"] for wait in answers for child in wait().json["capsules"]}
    assert len(ids) == 12
    assert set(plane.agent.sandboxes) == {parent, *ids}
    assert {plane.row(one)["status"] for one in ids} == {"running"}


def test_a_crash_in_the_middle(plane):
    parent = plane.create()
    plane.agent.on["ForkSandbox"], go_on = held(FakeAgent.fork)

    def ask():
        try:
            return fork(plane, parent, count=3)
        except (OSError, http.client.HTTPException, ValueError):
            return "gone"
    in_background(ask)
    wait_until(lambda: plane.agent.called("ForkSandbox"))
    plane.stop(9)
    ids = children_asked_for(plane)
    assert {plane.row(child)["status"] for child in ids} == {"starting"}
    go_on.set()
    plane.start()
    # The agent went on; the rows follow it, and no child is without one.
    for child in ids:
        assert plane.wait_for_row(child, "running", seconds=15)["host_ip"] == "10.11.0.9"
