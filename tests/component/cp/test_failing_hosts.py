"""What comes when the host of a capsule fails, is away, has no room, or when the capsule does not run: every route of the document
that asks the host or the guest, and its mirror for admins."""
import secrets

import pytest
from conftest import end, make
from fake_agent import Drop, Fail
from openapi_document import OPERATIONS, each
from people import sign_up
from test_admin_mirror import CAPSULES

# Nothing but the database is asked for these.
OF_THE_DATABASE = {"GET /v1/capsules/stats", "GET /v1/capsules/usage", "GET /v1/capsules", "GET /v1/capsules/{id}", "GET /v1/admin/capsules",
                   "GET /v1/admin/capsules/{id}"}
BODIES = {"exec": {"cmd": "x"}, "read": {"path": "/root/hello"}, "list": {"path": "/root"}, "mkdir": {"path": "/root/new"},
          "remove": {"path": "/root/hello"}, "fork": {"count": 1}, "checkpoints": {"name": "new"}, "rollback": {"checkpoint": "before"}}
ABOUT_CAPSULES = [one for one in OPERATIONS if one.path.removeprefix("/v1/").removeprefix("admin/").startswith("capsules") and not one.is_stream
                  and repr(one) not in OF_THE_DATABASE]
ABOUT_TEMPLATES = [one for one in OPERATIONS if one.path.startswith(("/v1/snapshots", "/v1/admin/templates")) and one.method != "GET"]


@pytest.fixture(scope="module")
def world():
    plane = make(mails=True)
    plane.admin = sign_up(plane)
    yield plane
    end(plane)


@pytest.fixture(autouse=True)
def no_failure(world):
    yield
    world.agent.failure = None


class Prepared:
    """A request that would be right, about a capsule of its own."""

    def __init__(self, world, operation):
        self.world, self.operation, self.last = world, operation, operation.path.split("/")[-1]
        self.capsules = CAPSULES if operation.for_admins else "/v1/capsules"
        self.capsule = world.admin.post(self.capsules, {}).json["id"]
        self.name, self.checkpoint = f"s{secrets.token_hex(4)}", "word"
        if not operation.for_admins:
            answer = world.admin.post(f"/v1/capsules/{self.capsule}/checkpoints", {"name": "before"})
            self.checkpoint = answer.json["id"]
        if self.last == "{name}":
            path, body = ((f"{CAPSULES}/{self.capsule}/snapshot", {"name": self.name}) if operation.for_admins else
                          ("/v1/snapshots", {"sandbox_id": self.capsule, "name": self.name}))
            assert world.admin.post(path, body).status == 201
        if self.last == "resume":
            self.pause()

    def pause(self):
        if self.capsules == "/v1/capsules":
            assert self.world.admin.post(f"/v1/capsules/{self.capsule}/pause").status == 200
        else:  # which no route does
            with self.world.database() as database:
                database.execute("UPDATE sandboxes SET status = 'paused' WHERE id = ?", (self.capsule,))

    def send(self):
        path = self.operation.filled({"id": self.capsule, "checkpoint": self.checkpoint, "selector": "7", "name": self.name})
        if self.last == "write":
            return self.world.upload(path, [("path", None, b"/root/new"), ("file", "x", b"x")], key=None,
                                     headers={"Authorization": f"Bearer {self.world.admin.token}"})
        body = {"sandbox_id": self.capsule, "name": self.name} if self.last == "snapshots" else BODIES.get(self.last)
        return self.world.admin.request(self.operation.method, path, body)


@each(ABOUT_CAPSULES + ABOUT_TEMPLATES)
def test_it_fails(world, operation):
    request = Prepared(world, operation)
    world.agent.failure = Fail("internal", "it broke")
    answer = request.send()
    assert (answer.status, answer.code) == (502, "agent_error"), answer.body
    assert "it broke" in answer.message
    assert answer.status in operation.codes, "not documented"


@each(ABOUT_CAPSULES + ABOUT_TEMPLATES)
@pytest.mark.parametrize("failure", [Fail("unavailable", "no answer", 503), Drop()], ids=["unavailable", "no answer"])
def test_it_is_away(world, operation, failure):
    request = Prepared(world, operation)
    world.agent.failure = failure
    answer = request.send()
    assert (answer.status, answer.code) == (503, "no_hosts_available" if operation.method == "POST" and operation.path.endswith("/capsules")
                                            else "host_unavailable"), answer.body
    assert answer.headers["Retry-After"]


@each([one for one in ABOUT_CAPSULES + ABOUT_TEMPLATES if 507 in one.codes])
def test_it_is_full(world, operation):
    request = Prepared(world, operation)
    world.agent.failure = Fail("resource_exhausted", "no room", 507)
    answer = request.send()
    assert (answer.status, answer.code) == (507, "resource_exhausted"), answer.body


@each([one for one in ABOUT_CAPSULES if 409 in one.codes and ("/files/" in one.path or "/processes" in one.path or one.path.endswith(("/exec", "/ping")))])
def test_the_capsule_is_paused(world, operation):
    request = Prepared(world, operation)
    request.pause()
    answer = request.send()
    assert (answer.status, answer.code, answer.message) == (409, "invalid_state", "sandbox is not running (status: paused)")
