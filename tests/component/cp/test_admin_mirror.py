"""What admins of the platform do with its capsules and templates: the routes of teams once more, below /v1/admin."""
import json

import pytest
from conftest import end, make
from fake_agent import Drop, FakeAgent, held, template
from people import sign_up
from test_events import Listener
from waiting import in_background, wait_until
from websocket import Refused, WebSocket

PLATFORM = "team-" + "0" * 25
CAPSULES = "/v1/admin/capsules"
UNKNOWN = "cl-" + "0" * 24 + "1"
ROUTES = [("GET", "/v1/admin/templates"), ("DELETE", "/v1/admin/templates/x"), ("GET", "/v1/admin/events/stream"),
          ("POST", CAPSULES), ("GET", CAPSULES), ("GET", CAPSULES + "/{id}"), ("DELETE", CAPSULES + "/{id}"),
          ("POST", CAPSULES + "/{id}/snapshot"), ("GET", CAPSULES + "/{id}/metrics"), ("POST", CAPSULES + "/{id}/exec"),
          ("GET", CAPSULES + "/{id}/processes"), ("DELETE", CAPSULES + "/{id}/processes/7"),
          ("POST", CAPSULES + "/{id}/files/write"), ("POST", CAPSULES + "/{id}/files/read"),
          ("POST", CAPSULES + "/{id}/files/list"), ("POST", CAPSULES + "/{id}/files/mkdir"),
          ("POST", CAPSULES + "/{id}/files/remove")]
STREAMS = ["exec/stream", "pty", "processes/proc-1/stream"]


@pytest.fixture(scope="module")
def world():
    """A control plane with its admin, who signed up first, and somebody else."""
    plane = make(mails=True)
    plane.admin = sign_up(plane, name="Admin")
    plane.person = sign_up(plane, name="Person")
    yield plane
    end(plane)


@pytest.fixture(scope="module")
def capsule(world):
    return created(world)


def created(world, **fields):
    answer = world.admin.post(CAPSULES, fields)
    assert answer.status == 201, answer.body
    return answer.json["id"]


def snapshot(world, capsule, name=None):
    return world.admin.post(f"{CAPSULES}/{capsule}/snapshot", {"name": name} if name else None)


def templates(world):
    answer = world.admin.get("/v1/admin/templates")
    assert answer.status == 200, answer.body
    return {one["name"]: one for one in answer.json}


def audit(world, **fields):
    """Entries of the platform's log that fit, newest first."""
    items = world.admin.get("/v1/admin/audit-logs?limit=200").json["items"]
    return [one for one in items if all(one.get(name) == value for name, value in fields.items())]


class TestWho:
    @pytest.mark.parametrize("method,path", ROUTES)
    def test_only_admins(self, world, capsule, method, path):
        path, body = path.format(id=capsule), "{}" if method == "POST" else None
        nobody = world.request(method, path, body, key=None)
        assert (nobody.status, nobody.code) == (401, "unauthorized")
        person = world.person.request(method, path, body)
        assert (person.status, person.code, person.message) == (403, "forbidden", "admin access required")
        for key in (world.key, world.admin.new_key()["key"]):
            answer = world.request(method, path, body, key=key)
            assert (answer.status, answer.code) == (403, "forbidden"), "an API key is nobody's admin"
        assert world.row(capsule)["status"] == "running"

    @pytest.mark.parametrize("method,path", [one for one in ROUTES if "{id}" in one[1]])
    def test_capsules_of_teams_are_not_the_platforms(self, world, method, path):
        own = world.admin.post("/v1/capsules").json["id"]
        body = "{}" if method == "POST" else None
        for id in (own, UNKNOWN):
            answer = world.admin.request(method, path.format(id=id), body)
            assert (answer.status, answer.code, answer.message) == (404, "not_found", "sandbox not found")
        assert world.admin.request(method, path.format(id="x"), body).status == 400
        assert world.row(own)["status"] == "running"

    def test_what_is_not_of_the_mirror(self, world, capsule):
        for action in ("pause", "resume", "fork", "ping"):
            assert world.admin.post(f"{CAPSULES}/{capsule}/{action}").status == 404


class TestCapsules:
    def test_its_life(self, world):
        answer = world.admin.post(CAPSULES, {"memory_mb": 256})
        told = answer.json
        assert (answer.status, told["status"], told["memory_mb"]) == (201, "running", 256)
        path = answer.headers["Location"]
        assert path == f"{CAPSULES}/{told['id']}"
        assert world.row(told["id"])["team_id"] == PLATFORM
        assert world.agent.called("CreateSandbox")[-1]["teamId"] == PLATFORM

        # Nobody else's: not the admin's own team's either.
        for other in (world.admin, world.person, world):
            assert told["id"] not in [one["id"] for one in other.get("/v1/capsules").json]
            for method, where in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("GET", "/processes")):
                assert other.request(method, f"/v1/capsules/{told['id']}{where}").status == 404
        assert told["id"] in [one["id"] for one in world.admin.get(CAPSULES).json]
        assert world.admin.get(path).json["id"] == told["id"]
        assert world.admin.get("/api" + path).json["id"] == told["id"]
        assert world.admin.get(path + "/metrics").json["points"][0]["mem_bytes"] == 1024

        for _ in range(2):
            assert world.admin.delete(path).status == 204
        assert world.admin.get(path).json["status"] == "stopped"
        assert told["id"] not in [one["id"] for one in world.admin.get(CAPSULES).json]
        for action in ("create", "destroy"):
            entry, = audit(world, resource_type="sandbox", action=action, resource_id=told["id"])
            assert (entry["actor_type"], entry["actor_id"]) == ("user", world.admin.id)
        assert told["id"] not in json.dumps(world.admin.get("/v1/audit-logs?limit=200").json)

    def test_once(self, world):
        headers = {"Idempotency-Key": "one"}
        first, again = (world.admin.post(CAPSULES, {"vcpus": 2}, headers=headers) for _ in range(2))
        assert first.json == again.json and again.headers["Idempotency-Replayed"] == "true"
        assert world.admin.post("/v1/capsules", {"vcpus": 2}, headers=headers).json["id"] != first.json["id"]

    def test_commands(self, world, capsule):
        answer = world.admin.post(f"{CAPSULES}/{capsule}/exec", {"cmd": "x"})
        assert (answer.status, answer.json["stdout"], answer.json["exit_code"]) == (200, "out\n", 0)
        answer = world.admin.post(f"{CAPSULES}/{capsule}/exec", {"cmd": "x", "background": True})
        assert (answer.status, answer.json["pid"]) == (202, 42)
        assert [one["pid"] for one in world.admin.get(f"{CAPSULES}/{capsule}/processes").json["processes"]] == [7, 8]
        assert world.admin.delete(f"{CAPSULES}/{capsule}/processes/7").status == 204
        assert world.admin.delete(f"{CAPSULES}/{capsule}/processes/404").status == 404

    def test_files(self, world, capsule):
        files = f"{CAPSULES}/{capsule}/files"
        headers, content = {"Authorization": f"Bearer {world.admin.token}"}, bytes(range(256))
        parts = [("path", None, b"/root/new"), ("file", "x", content)]
        assert world.upload(files + "/write", parts, headers=headers, key=None).status == 204
        too_long = {**headers, "Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(101 << 20)}
        answer = world.request("POST", files + "/write", "--b", headers=too_long, key=None)
        assert (answer.status, answer.code) == (413, "too_large")
        assert world.admin.post(files + "/read", {"path": "/root/new"}).body == content
        assert world.admin.post(files + "/list", {"path": "/root"}).json["entries"][0]["name"] == "hello"
        assert world.admin.post(files + "/mkdir", {"path": "/root/mirror"}).json["entry"]["name"] == "mirror"
        assert world.admin.post(files + "/mkdir", {"path": "/root/mirror"}).status == 409
        assert world.admin.post(files + "/remove", {"path": "/root/new"}).status == 204
        assert world.admin.post(files + "/read", {"path": "/root/new"}).status == 404


class TestStreams:
    @pytest.fixture(autouse=True)
    def script(self, world):
        world.agent.guest.scripts["proc-1"] = [{"event": {"start": {"pid": 7}}}, {"event": {"end": {"exitCode": 0, "exited": True}}}]

    def begin(self, world, capsule, stream, token=None, **more):
        socket = world.socket(f"{CAPSULES}/{capsule}/{stream}", key=None, **more)
        if token:
            socket.send({"type": "auth", "token": token})
        if not stream.startswith("processes"):
            socket.send({"type": "start", "cmd": "x"})
        return socket

    @pytest.mark.parametrize("stream", STREAMS)
    def test_the_admin(self, world, capsule, stream):
        assert self.begin(world, capsule, stream, world.admin.token).all()[-1] == {"type": "exit", "exit_code": 0}

    @pytest.mark.parametrize("stream", STREAMS)
    def test_others(self, world, capsule, stream):
        before = len(world.agent.guest.requests)
        for token, why in ((world.person.token, "admin access required"), (world.key, "admin access required"),
                           (world.admin.new_key()["key"], "admin access required"), ("wrs_" + "0" * 64, "authentication failed")):
            said = self.begin(world, capsule, stream, token).all()
            assert [(one["type"], one["data"]) for one in said] == [("error", why)]
        assert len(world.agent.guest.requests) == before

    def test_credentials_of_the_upgrade(self, world, capsule):
        def upgrade(headers):
            socket = WebSocket(world.port, f"{CAPSULES}/{capsule}/exec/stream", headers)
            socket.send({"type": "auth", "token": "whatever"})
            socket.send({"type": "start", "cmd": "x"})
            return socket.all()[-1]
        assert upgrade({"Authorization": f"Bearer {world.admin.token}"}) == {"type": "exit", "exit_code": 0}
        for headers in ({"Authorization": f"Bearer {world.person.token}"}, {"X-API-Key": world.key}):
            assert upgrade(headers) == {"type": "error", "data": "admin access required"}

    def test_only_the_platforms_capsules(self, world):
        own = world.admin.post("/v1/capsules").json["id"]
        assert self.begin(world, own, "exec/stream", world.admin.token).all() == [{"type": "error", "data": "sandbox not found"}]
        with pytest.raises(Refused) as refused:
            self.begin(world, "x", "exec/stream")
        assert refused.value.status == 400

    def test_it_ends_with_the_rights_and_not_before(self, world, capsule):
        other = sign_up(world)
        assert world.admin.put(f"/v1/admin/users/{other.id}/admin", {"admin": True}).status == 204
        world.agent.guest.scripts["long"] = [{"event": {"start": {"pid": 9}}}, ("sleep", 8)]
        socket = world.socket(f"{CAPSULES}/{capsule}/exec/stream", key=None)
        socket.send({"type": "auth", "token": other.token})
        socket.send({"type": "start", "cmd": "long"})
        assert socket.receive() == {"type": "start", "pid": 9}
        listener = Listener(world, key=None, path="/v1/admin/events/stream", token=other.token)
        assert listener.response.status == 200
        # Somebody else's end is none of it.
        world.person.delete("/v1/api-keys/" + world.person.new_key()["id"])
        created(world)
        wait_until(lambda: "capsule.create" in listener.types())
        assert listener.ended is None
        assert world.admin.put(f"/v1/admin/users/{other.id}/admin", {"admin": False}).status == 204
        assert socket.receive() == {"type": "error", "data": "the credentials are no longer good"}
        wait_until(lambda: listener.ended == "cleanly")


class TestTemplates:
    def test_of_everybody(self, world):
        own = world.admin.post("/v1/capsules").json["id"]
        assert world.admin.post("/v1/snapshots", {"sandbox_id": own, "name": "of-a-team"}).status == 201
        told = templates(world)
        assert told["minimal-debian"].pop("created_at").endswith("Z")
        assert told["minimal-debian"] == {"name": "minimal-debian", "type": "base", "vcpus": 0, "memory_mb": 0, "size_bytes": 1000,
                                          "team_id": PLATFORM}
        assert (told["of-a-team"]["team_id"], told["of-a-team"]["memory_mb"]) == (world.admin.team, 512)
        assert "of-a-team" not in [one["name"] for one in world.person.get("/v1/snapshots").json]
        # Another team's is not the platform's to delete.
        assert world.admin.delete("/v1/admin/templates/of-a-team").status == 404
        assert world.admin.delete("/v1/snapshots/of-a-team").status == 204

    def test_a_capsule_becomes_one(self, world):
        capsule = created(world, memory_mb=256)
        answer = snapshot(world, capsule, "tools")
        assert answer.status == 201, answer.body
        assert (answer.json["name"], answer.json["platform"], answer.json["memory_mb"]) == ("tools", True, 256)
        assert world.row(capsule)["status"] == "stopped" and capsule not in world.agent.sandboxes
        request = world.agent.called("CreateSnapshot")[-1]
        assert (request["sandboxId"], request["templateTeamId"]) == (capsule, "0" * 25)

        # Everybody uses it, and nobody takes its name.
        assert "tools" in [one["name"] for one in world.person.get("/v1/snapshots").json]
        used = world.person.post("/v1/capsules", {"template": "tools"})
        assert (used.status, used.json["memory_mb"]) == (201, 256)
        assert world.agent.called("CreateSandbox")[-1]["templateTeamId"] == "0" * 25
        answer = world.person.post("/v1/snapshots?overwrite=true", {"sandbox_id": used.json["id"], "name": "tools"})
        assert (answer.status, answer.code) == (409, "name_reserved")
        answer = world.person.delete("/v1/snapshots/tools")
        assert (answer.status, answer.code) == (403, "forbidden")

        # Once more: the same template, a new generation.
        bigger = created(world, memory_mb=512)
        assert snapshot(world, bigger, "tools").json["memory_mb"] == 512
        assert world.agent.called("CreateSnapshot")[-1]["templateId"] == request["templateId"]
        assert [one["name"] for one in world.admin.get("/v1/admin/templates").json].count("tools") == 1

        assert world.admin.delete("/v1/admin/templates/tools").status == 204
        assert world.agent.called("DeleteTemplate")[-1]["templateTeamId"] == "0" * 25
        assert "tools" not in templates(world)
        assert world.admin.delete("/v1/admin/templates/tools").status == 404
        entry, = audit(world, resource_type="template", action="delete", resource_id="tools")
        assert (entry["scope"], entry["status"], entry["actor_id"]) == ("admin", "warning", world.admin.id)
        assert len(audit(world, resource_type="snapshot", action="create", resource_id="tools")) == 2

    def test_system_images_stay(self, world):
        answer = world.admin.delete("/v1/admin/templates/minimal-debian")
        assert (answer.status, answer.code) == (403, "forbidden")
        answer = snapshot(world, created(world), "minimal-debian")
        assert (answer.status, answer.code) == (409, "name_reserved")
        assert world.admin.delete("/v1/admin/templates/..").status in (400, 404)
        assert "minimal-debian" in templates(world)

    def test_what_goes_wrong(self, world):
        capsule = created(world)
        assert snapshot(world, capsule, "bad name").status == 400
        assert snapshot(world, capsule, 7).status == 400
        world.agent.on["CreateSnapshot"], go_on = held(FakeAgent.create_snapshot)
        first = in_background(lambda: snapshot(world, capsule, "slow"))
        wait_until(lambda: any(one["templateName"] == "slow" for one in world.agent.called("CreateSnapshot")))
        assert "slow" not in templates(world)
        other = created(world)
        assert snapshot(world, other, "slow").code == "template_name_taken"
        go_on.set()
        assert first().status == 201
        world.agent.on["DeleteTemplate"], go_on = held(FakeAgent.delete_template)
        before = len(world.agent.called("DeleteTemplate"))
        delete = in_background(lambda: world.admin.delete("/v1/admin/templates/slow"))
        wait_until(lambda: len(world.agent.called("DeleteTemplate")) > before)
        assert world.admin.delete("/v1/admin/templates/slow").status == 409
        go_on.set()
        assert delete().status == 204
        del world.agent.on["DeleteTemplate"]
        # A capsule of which nothing was made is still there.
        world.agent.on["CreateSnapshot"] = lambda agent, request: (_ for _ in ()).throw(Drop())
        assert snapshot(world, other, "never").status >= 502
        del world.agent.on["CreateSnapshot"]
        assert world.row(other)["status"] == "running" and "never" not in templates(world)

    def test_a_template_is_made_though_its_capsule_cannot_go(self, world):
        capsule = created(world)
        world.agent.on["DestroySandbox"] = lambda agent, request: (_ for _ in ()).throw(Drop())
        assert snapshot(world, capsule).status == 201
        assert world.row(capsule)["status"] == "stopping"
        del world.agent.on["DestroySandbox"]
        world.wait_for_row(capsule, "stopped")

    def test_an_image_does_not_take_the_name_of_a_snapshot(self, world):
        snapshot(world, created(world), "name")
        world.agent.templates.append(template(99, "name"))
        world.post("/v1/capsules", {"template": "surely-not-there"})
        wait_until(lambda: "whose name is taken" in world.log_text())
        assert templates(world)["name"]["type"] == "snapshot"
        world.agent.templates = [one for one in world.agent.templates if one["name"] != "name" or one.get("snapshot")]
        assert world.admin.delete("/v1/admin/templates/name").status == 204


def test_events_of_everybody(world):
    listener = Listener(world, key=None, path="/v1/admin/events/stream", token=world.admin.token)
    of_a_team = Listener(world)
    wait_until(lambda: listener.lines and of_a_team.lines)
    mine, platforms, persons = world.create(), created(world), world.person.post("/v1/capsules").json["id"]

    def told(one):
        return {event["resource"]["id"]: event["team_id"] for event in one.durable() if event["type"] == "capsule.create"}
    wait_until(lambda: len(told(listener)) >= 3)
    assert told(listener) == {mine: world.row(mine)["team_id"], platforms: PLATFORM, persons: world.person.team}
    assert persons in [event["resource"]["id"] for event in listener.events if event["type"] == "capsule.state.changed"]
    assert told(of_a_team) == {mine: world.row(mine)["team_id"]}
    ids = [event["id"] for event in listener.durable()]
    assert len(set(ids)) == len(ids)

    # What was missed is of everybody, too.
    assert Listener(world, key=None, path="/v1/admin/events/stream", token=world.admin.token, last="x").response.status == 400
    again = Listener(world, key=None, path="/v1/admin/events/stream", token=world.admin.token, last=ids[0])
    wait_until(lambda: [event["id"] for event in again.durable()] == ids[1:])
    for one in (listener, of_a_team, again):
        one.socket.shutdown(2)
