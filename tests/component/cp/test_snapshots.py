"""Templates made of capsules: made, overwritten, used, deleted; and what becomes of them when host and database differ."""
import http.client
import json
import re

import pytest
from fake_agent import Drop, Fail, FakeAgent, held, late, template
from waiting import in_background, wait_until


def snapshot(plane, capsule, name=None, overwrite=None, **more):
    query = "" if overwrite is None else f"?overwrite={overwrite}"
    body = {"sandbox_id": capsule, **({"name": name} if name else {})}
    return plane.post("/v1/snapshots" + query, body, **more)


def made(plane, capsule, name=None, **more):
    answer = snapshot(plane, capsule, name, **more)
    assert answer.status == 201, answer.body
    return answer.json


def names(plane, query="?type=snapshot", **more):
    return [one["name"] for one in plane.get("/v1/snapshots" + query, **more).json]


def rows(plane, sql="SELECT name FROM templates WHERE type = 'snapshot'"):
    with plane.database() as database:
        return [tuple(row) for row in database.execute(sql).fetchall()]


def on_agent(plane):
    return {one["name"]: one for one in plane.agent.templates if one.get("snapshot")}


def sync(plane):
    """The host is asked for its templates: an unknown one makes the control plane look."""
    before = len(plane.agent.called("GetHostInfo"))

    def asked():
        plane.post("/v1/capsules", {"template": "surely-not-there"})
        return len(plane.agent.called("GetHostInfo")) > before
    wait_until(asked)


def test_the_whole_way(plane):
    capsule = plane.create(vcpus=2, memory_mb=256)
    answer = snapshot(plane, capsule, "mine")
    assert answer.status == 201
    told = answer.json
    assert re.fullmatch(r"\d{4}-.*Z", told.pop("created_at"))
    assert told == {"name": "mine", "type": "snapshot", "vcpus": 2, "memory_mb": 256, "size_bytes": 5000, "platform": False,
                    "metadata": {"kernel_version": "6.1", "agent_version": "test"}}
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"
    assert names(plane) == ["mine"]
    assert names(plane, "") == ["mine", "minimal-debian"]
    assert names(plane, "?type=base") == ["minimal-debian"]
    request = plane.agent.called("CreateSnapshot")[0]
    assert request["sandboxId"] == capsule and request["templateName"] == "mine"
    assert re.fullmatch("[0-9a-z]{25}", request["templateId"])
    assert "team-" + request["templateTeamId"] == plane.row(capsule)["team_id"]

    # Its memory has a size: what the request says of that does not count.
    child = plane.post("/v1/capsules", {"template": "mine", "vcpus": 1, "memory_mb": 512, "timeout_sec": 7}).json
    assert (child["template"], child["vcpus"], child["memory_mb"], child["timeout_sec"]) == ("mine", 2, 256, 7)
    told = plane.agent.called("CreateSandbox")[-1]
    assert (told["templateId"], told["templateTeamId"]) == (request["templateId"], request["templateTeamId"])
    assert (told["vcpus"], told["memoryMb"]) == (2, 256)

    assert plane.delete("/v1/snapshots/mine").status == 204
    assert on_agent(plane) == {}
    assert names(plane) == []
    assert plane.post("/v1/capsules", {"template": "mine"}).status == 404
    assert plane.delete("/v1/snapshots/mine").status == 404
    assert plane.get(f"/v1/capsules/{child['id']}").json["status"] == "running"


def test_how_a_capsule_is_booted(plane):
    plane.create()
    plane.create(boot="auto")
    plane.create(boot="cold")
    assert [request.get("boot", "") for request in plane.agent.called("CreateSandbox")] == ["", "", "cold"]


def test_its_user_is_the_one_of_the_capsule(plane):
    capsule = plane.create()
    plane.agent.on["CreateSnapshot"] = lambda agent, request: {**agent.create_snapshot(request), "defaultUser": "dev"}
    made(plane, capsule, "mine")
    plane.create(template="mine")
    assert plane.agent.called("CreateSandbox")[-1]["defaultUser"] == "dev"


def test_without_a_name(plane):
    capsule = plane.create()
    first, second = made(plane, capsule)["name"], made(plane, capsule)["name"]
    assert re.fullmatch("template-[0-9a-f]{8}", first) and first != second
    assert names(plane) == [second, first]


def test_a_paused_capsule_stays_paused(plane):
    capsule = plane.create()
    plane.post(f"/v1/capsules/{capsule}/pause")
    made(plane, capsule, "mine")
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "paused"
    plane.delete(f"/v1/capsules/{capsule}")
    answer = snapshot(plane, capsule, "other")
    assert (answer.status, answer.code) == (409, "invalid_state")
    assert names(plane) == ["mine"]


def test_names(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")
    answer = snapshot(plane, capsule, "mine")
    assert (answer.status, answer.code) == (409, "template_name_taken")
    for overwrite in (None, "true"):
        answer = snapshot(plane, capsule, "minimal-debian", overwrite)
        assert (answer.status, answer.code) == (409, "name_reserved")
    assert snapshot(plane, capsule, "mine", "false").status == 409
    assert len(plane.agent.called("CreateSnapshot")) == 1


def test_two_with_one_name(plane):
    capsule = plane.create()
    for overwrite in ("false", "true"):  # the same at once: one of them
        plane.agent.on["CreateSnapshot"], go_on = held(FakeAgent.create_snapshot)
        ended = []

        def ask(overwrite=overwrite):
            ended.append(snapshot(plane, capsule, "mine", overwrite).status)
        answers = [in_background(ask) for _ in range(4)]
        wait_until(lambda: len(ended) == 3)
        go_on.set()
        for wait in answers:
            wait()
        assert ended == [409, 409, 409, 201]
        assert len(plane.agent.called("CreateSnapshot")) == (1 if overwrite == "false" else 2)


def test_it_cannot_be_used_before_it_is_complete(plane):
    capsule = plane.create()
    plane.agent.on["CreateSnapshot"], go_on = held(FakeAgent.create_snapshot)
    making = in_background(lambda: snapshot(plane, capsule, "mine"))
    wait_until(lambda: plane.agent.called("CreateSnapshot"))
    assert names(plane) == []
    assert plane.post("/v1/capsules", {"template": "mine"}).status == 404
    assert (plane.delete("/v1/snapshots/mine").status, snapshot(plane, capsule, "mine", "true").status) == (409, 409)
    go_on.set()
    assert making().status == 201
    assert plane.create(template="mine")


def test_another_team(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")
    other = plane.add_key()
    answer = snapshot(plane, capsule, "stolen", key=other)
    assert (answer.status, answer.code) == (404, "not_found")
    assert plane.delete("/v1/snapshots/mine", key=other).status == 404
    assert plane.post("/v1/capsules", {"template": "mine"}, key=other).status == 404
    assert names(plane, key=other) == []
    # Its own of the same name is another template.
    theirs = plane.post("/v1/capsules", {}, key=other).json["id"]
    assert snapshot(plane, theirs, "mine", key=other).status == 201
    assert plane.delete("/v1/snapshots/mine", key=other).status == 204
    assert names(plane) == ["mine"]
    assert plane.create(template="mine")


def test_overwrite(plane):
    capsule = plane.create(memory_mb=256)
    first = made(plane, capsule, "mine", overwrite="true")  # nothing there to overwrite
    larger = plane.create(memory_mb=1024)
    second = made(plane, larger, "mine", overwrite="true")
    assert (first["memory_mb"], second["memory_mb"]) == (256, 1024)
    asked = plane.agent.called("CreateSnapshot")
    assert asked[0]["templateId"] == asked[1]["templateId"]
    assert names(plane) == ["mine"]
    assert rows(plane, "SELECT generation FROM template_hosts JOIN templates ON id = template_id WHERE name = 'mine'") == [("g2",)]
    plane.create(template="mine")
    assert plane.agent.called("CreateSandbox")[-1]["memoryMb"] == 1024


def test_an_overwrite_that_fails_leaves_the_old_one(plane):
    capsule = plane.create(memory_mb=256)
    made(plane, capsule, "mine")
    before = plane.get("/v1/snapshots?type=snapshot").json

    def fail(agent, request):
        raise Fail("resource_exhausted", "disk full")
    plane.agent.on["CreateSnapshot"] = fail
    answer = snapshot(plane, plane.create(memory_mb=1024), "mine", "true")
    assert (answer.status, answer.code) == (507, "resource_exhausted")
    assert plane.get("/v1/snapshots?type=snapshot").json == before
    assert "mine" in on_agent(plane) and plane.agent.called("DeleteTemplate") == []
    plane.create(template="mine")
    assert plane.agent.called("CreateSandbox")[-1]["memoryMb"] == 256


def test_an_overwrite_whose_answer_is_lost(plane):
    capsule = plane.create(memory_mb=256)
    made(plane, capsule, "mine")

    def make_and_vanish(agent, request):
        agent.create_snapshot(request)
        raise Drop()
    plane.agent.on["CreateSnapshot"] = make_and_vanish
    assert snapshot(plane, plane.create(memory_mb=1024), "mine", "true").status == 503
    # The host has the new one: that is what capsules are made of, with its size.
    wait_until(lambda: plane.get("/v1/snapshots?type=snapshot").json[0]["memory_mb"] == 1024)
    assert rows(plane, "SELECT generation FROM template_hosts JOIN templates ON id = template_id WHERE name = 'mine'") == [("g2",)]


@pytest.mark.parametrize("code,status,public", [("internal", 502, "agent_error"), ("resource_exhausted", 507, "resource_exhausted"),
                                                ("not_found", 404, "not_found"), ("failed_precondition", 409, "conflict")])
def test_the_agent_refuses(plane, code, status, public):
    capsule = plane.create()

    def make_and_fail(agent, request):
        agent.create_snapshot(request)
        raise Fail(code, "because")
    plane.agent.on["CreateSnapshot"] = make_and_fail
    answer = snapshot(plane, capsule, "mine")
    assert (answer.status, answer.code) == (status, public)
    assert rows(plane) == [] and names(plane) == []
    wait_until(lambda: on_agent(plane) == {})
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"
    del plane.agent.on["CreateSnapshot"]
    made(plane, capsule, "mine")


def test_the_answer_is_lost_and_the_host_with_it(slow):
    plane = slow
    capsule = plane.create()
    port = plane.agent.port

    def make_and_die(agent, request):
        agent.create_snapshot(request)
        agent.stop()
        raise Drop()
    plane.agent.on["CreateSnapshot"] = make_and_die
    assert snapshot(plane, capsule, "mine").status == 503
    sandboxes, templates = plane.agent.sandboxes, plane.agent.templates
    assert rows(plane) == []
    # The host comes back with what the user was told does not exist.
    wait_until(lambda: plane.get("/health").status == 200)
    plane.agent = FakeAgent(port)
    plane.agent.sandboxes, plane.agent.templates = sandboxes, templates
    assert "mine" in on_agent(plane)
    sync(plane)
    wait_until(lambda: on_agent(plane) == {})
    assert names(plane) == []


def test_nobody_answers(slow):
    plane = slow
    capsule = plane.create()
    made(plane, capsule, "mine")
    plane.agent.stop()
    for name, overwrite in (("other", None), ("mine", "true")):
        answer = snapshot(plane, capsule, name, overwrite)
        assert (answer.status, answer.code) == (503, "host_unavailable")
    assert names(plane) == ["mine"] and rows(plane) == [("mine",)]
    assert plane.get(f"/v1/capsules/{capsule}").json["status"] == "running"


def test_the_client_goes_away(plane):
    capsule = plane.create()
    plane.agent.on["CreateSnapshot"] = late(0.6, FakeAgent.create_snapshot)
    connection = http.client.HTTPConnection("127.0.0.1", plane.port)
    connection.request("POST", "/v1/snapshots", body=json.dumps({"sandbox_id": capsule, "name": "mine"}),
                       headers={"X-API-Key": plane.key})
    wait_until(lambda: plane.agent.called("CreateSnapshot"))
    connection.close()
    wait_until(lambda: names(plane) == ["mine"])


def test_the_capsule_is_destroyed_meanwhile(plane):
    capsule = plane.create()
    plane.agent.on["CreateSnapshot"], go_on = held(FakeAgent.create_snapshot)
    making = in_background(lambda: snapshot(plane, capsule, "mine"))
    wait_until(lambda: plane.agent.called("CreateSnapshot"))
    assert plane.delete(f"/v1/capsules/{capsule}").status == 204
    go_on.set()
    assert making().status == 404
    assert rows(plane) == [] and names(plane) == []


def test_a_crash_in_the_middle(plane):
    capsule = plane.create()
    plane.agent.on["CreateSnapshot"], go_on = held(FakeAgent.create_snapshot)

    def ask():
        try:
            return snapshot(plane, capsule, "mine")
        except (OSError, http.client.HTTPException, ValueError):
            return "gone"
    in_background(ask)
    wait_until(lambda: plane.agent.called("CreateSnapshot"))
    plane.stop(9)
    assert rows(plane) == [("mine",)]
    plane.start()
    go_on.set()
    # The agent went on: the row that was begun gets what is there.
    wait_until(lambda: on_agent(plane))
    sync(plane)
    assert names(plane) == ["mine"]
    assert plane.create(template="mine")


def test_what_was_begun_and_never_finished_gives_its_name_back(plane):
    capsule = plane.create()
    team = plane.row(capsule)["team_id"]
    for name in ("old", "older"):
        with plane.database() as database:
            database.execute("INSERT INTO templates (id, team_id, name, type, created_at, making_until) VALUES (?, ?, ?, 'snapshot', 1, 2)",
                             (name.rjust(25, "0"), team, name))
    assert names(plane) == []
    made(plane, capsule, "old")
    sync(plane)
    assert rows(plane) == [("old",)]
    assert plane.delete("/v1/snapshots/older").status == 404


def test_delete_while_the_host_is_away(slow):
    plane = slow
    capsule = plane.create()
    made(plane, capsule, "mine")
    port, sandboxes, templates = plane.agent.port, plane.agent.sandboxes, plane.agent.templates
    plane.agent.stop()
    answer = plane.delete("/v1/snapshots/mine")
    assert (answer.status, answer.code) == (503, "host_unavailable")
    assert names(plane) == ["mine"]
    plane.agent = FakeAgent(port)
    plane.agent.sandboxes, plane.agent.templates = sandboxes, templates
    assert plane.create(template="mine")
    assert plane.delete("/v1/snapshots/mine").status == 204
    assert on_agent(plane) == {}


def test_the_agent_refuses_to_delete(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")

    def fail(agent, request):
        raise Fail("internal", "cannot remove")
    plane.agent.on["DeleteTemplate"] = fail
    answer = plane.delete("/v1/snapshots/mine")
    assert (answer.status, answer.code) == (502, "agent_error")
    assert names(plane) == ["mine"]
    assert plane.create(template="mine")


def test_many_deletes(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")
    plane.agent.on["DeleteTemplate"], go_on = held(FakeAgent.delete_template)
    first = in_background(lambda: plane.delete("/v1/snapshots/mine"))
    wait_until(lambda: plane.agent.called("DeleteTemplate"))
    answers = [in_background(lambda: plane.delete("/v1/snapshots/mine")) for _ in range(3)]
    answers += [in_background(lambda: snapshot(plane, capsule, "mine", "true"))]
    assert [wait().status for wait in answers] == [409, 409, 409, 409]
    go_on.set()
    assert first().status == 204
    made(plane, capsule, "mine")


def test_a_host_that_lost_its_files_and_finds_them(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")
    kept = plane.agent.templates
    plane.agent.templates = [template(4, "minimal-debian")]
    sync(plane)
    assert names(plane) == []
    assert plane.post("/v1/capsules", {"template": "mine"}).status == 404
    # The row stays: nobody else may take the name by accident, and the files may come back.
    assert snapshot(plane, capsule, "mine").code == "template_name_taken"
    plane.agent.templates = kept
    sync(plane)
    assert names(plane) == ["mine"]
    assert plane.create(template="mine")


def test_deleted_while_the_files_were_away_is_deleted(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")
    kept = plane.agent.templates
    plane.agent.templates = [template(4, "minimal-debian")]
    sync(plane)
    assert plane.delete("/v1/snapshots/mine").status == 204
    assert plane.agent.called("DeleteTemplate") == []
    plane.agent.templates = kept
    sync(plane)
    wait_until(lambda: on_agent(plane) == {})
    assert names(plane) == []


def test_an_old_copy_of_the_database_gets_its_templates_back(plane):
    capsule = plane.create(memory_mb=256)
    made(plane, capsule, "mine")
    plane.stop()
    with plane.database() as database:
        database.execute("DELETE FROM templates WHERE type = 'snapshot'")
    plane.start()
    sync(plane)
    assert names(plane) == ["mine"]
    told = plane.get("/v1/snapshots?type=snapshot").json[0]
    assert (told["vcpus"], told["memory_mb"], told["platform"]) == (1, 256, False)
    assert plane.agent.called("DeleteTemplate") == []
    assert plane.create(template="mine")
    assert "template again" in plane.log_text()


@pytest.mark.parametrize("bend", [
    {"teamId": "0" * 25},  # of the platform: everybody would use it
    {"teamId": "0" * 24 + "z"},  # of nobody
    {"templateId": "0" * 24 + "9"},  # an id of the system's
    {"vcpus": 0}, {"memoryMb": 0},
    {"name": "taken"}, {"name": "../x"}, {"templateId": "x"},
])
def test_a_host_cannot_make_up_templates(plane, bend):
    capsule = plane.create()
    made(plane, capsule, "taken")
    before = plane.get("/v1/snapshots").json
    told = {**template(5, "evil"), "templateId": "evil".rjust(25, "0"), "teamId": plane.row(capsule)["team_id"][5:],
            "snapshot": True, "vcpus": 1, "memoryMb": 512}
    plane.agent.templates.append({**told, **bend})
    sync(plane)
    assert plane.get("/v1/snapshots").json == before
    # It is not ours to delete either.
    assert plane.agent.called("DeleteTemplate") == []


def test_a_host_cannot_take_a_template_over(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")
    other = plane.add_key()
    theirs = plane.post("/v1/capsules", {}, key=other).json["id"]
    mine = on_agent(plane)["mine"]
    mine["teamId"] = plane.row(theirs)["team_id"][5:]
    sync(plane)
    assert names(plane, key=other) == []
    assert names(plane) == []


def test_only_where_the_files_are(plane):
    capsule = plane.create()
    made(plane, capsule, "mine")
    with plane.database() as database:
        database.execute("INSERT INTO hosts (id, address, created_at, updated_at) VALUES ('host-' || ?, 'unix:/x', 9e15, 9e15)", ("1" * 25,))
        database.execute("UPDATE template_hosts SET host_id = 'host-' || ? WHERE template_id IN "
                         "(SELECT id FROM templates WHERE name = 'mine')", ("1" * 25,))
    answer = plane.post("/v1/capsules", {"template": "mine"})
    assert (answer.status, answer.code) == (503, "no_hosts_available")
    assert "mine" in answer.message
    answer = plane.delete("/v1/snapshots/mine")
    assert (answer.status, answer.code) == (503, "host_unavailable")
