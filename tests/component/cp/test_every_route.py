"""Walks the API as its own document describes it: every route for everybody who might ask, with other people's things and with
bodies that make no sense. What comes back must be documented, and never a failure of ours."""
import itertools
import json
import secrets

import pytest
from openapi_document import OPERATIONS, each, resolve
from people import sign_up

import conftest

# What any route may answer (the document's introduction).
ANYWHERE = {403, 413}


@pytest.fixture(scope="module")
def society():
    plane = conftest.make("--auth-rate-limits", "false", mails=True)
    plane.admin = sign_up(plane, "admin@example.com", "Admin")
    plane.member = sign_up(plane)
    plane.stranger = sign_up(plane)
    yield plane
    conftest.end(plane)


def things_of(person):
    """One of everything that paths can name."""
    host = "host-" + "".join(secrets.choice("0123456789") for _ in range(25))
    with person.plane.database() as database:
        database.execute("INSERT INTO hosts (id, type, team_id, created_at, updated_at) VALUES (?, 'byoc', ?, 9e15, 9e15)", (host, person.team))
    capsule = person.post("/v1/capsules", {}).json["id"]
    checkpoint = person.post(f"/v1/capsules/{capsule}/checkpoints", {"name": "before"}).json["id"]
    channel = person.post("/v1/channels", {"name": f"c{secrets.token_hex(4)}", "provider": "webhook", "config": {"url": "https://example.com/x"},
                                           "events": ["capsule.create"]}).json["id"]
    snapshot = f"s{secrets.token_hex(4)}"
    assert person.post("/v1/snapshots", {"sandbox_id": capsule, "name": snapshot}).status == 201
    return {("capsules", "id"): capsule, "checkpoint": checkpoint, ("channels", "id"): channel, ("hosts", "id"): host, "name": snapshot, "selector": "42",
            ("teams", "id"): person.team, "user": person.id, ("api-keys", "id"): person.new_key()["id"],
            "provider": "github", "event_id": "0" * 25}


def is_told(operation, answer):
    assert answer.status in operation.codes | ANYWHERE, f"{operation} answered {answer.status}, which is not documented: {answer.body[:300]}"
    assert answer.status < 500 or answer.status in (502, 503, 507), answer.body[:300]
    if answer.status >= 400 and not operation.is_stream:
        error = answer.json["error"]
        assert set(error) >= {"code", "message"} and error["code"] and error["message"]
        assert answer.headers["X-Request-Id"]


@each(OPERATIONS)
def test_nobody(society, operation):
    answer = society.request(operation.method, operation.filled({}), {}, key=None)
    if operation.open:
        assert answer.status != 401 or operation.path == "/v1/auth/login"
    else:
        assert (answer.status, answer.code) == (401, "unauthorized")


@each([one for one in OPERATIONS if not one.open])
@pytest.mark.parametrize("field", ["Bearer wrn_" + "0" * 32, "Bearer wrs_" + "0" * 64, "Basic YTpi", "Bearer "])
def test_somebody_unknown(society, operation, field):
    answer = society.request(operation.method, operation.filled({}), {}, key=None, headers={"Authorization": field})
    assert (answer.status, answer.code) == (401, "unauthorized")


# Streams do not end, and a WebSocket refuses by a message: see test_events.py, test_auth.py, test_admin_mirror.py.
@each([one for one in OPERATIONS if not one.is_stream])
def test_a_key(society, operation):
    answer = society.request(operation.method, operation.filled({}), {"nothing": "useful"} if operation.takes_json else None)
    if operation.for_keys:
        assert answer.status not in (401, 403) or operation.open
    else:
        assert (answer.status, answer.code) == (403, "forbidden")


@each([one for one in OPERATIONS if one.for_admins and not one.is_stream])
def test_a_member(society, operation):
    answer = society.member.request(operation.method, operation.filled({}), {})
    assert (answer.status, answer.code, answer.message) == (403, "forbidden", "admin access required")


def of_things(operation):
    return "{" in operation.path and not operation.open and not operation.is_stream and not operation.for_admins and not operation.path.startswith("/v1/me")


@pytest.fixture(scope="module")
def others(society):
    """What belongs to somebody else."""
    return things_of(society.stranger)


@each([one for one in OPERATIONS if of_things(one)])
def test_what_is_anothers(society, others, operation):
    """Neither seen nor changed: as if it were not there, or it is said whose it is not."""
    body = {"name": "x", "email": society.member.email, "role": "admin", "path": "/x", "cmd": "x", "checkpoint": "x", "config": {"url": "https://x.example"},
            "events": ["capsule.create"], "provider": "webhook", "count": 1} if operation.takes_json else None
    before = snapshot_of(society.stranger, others)
    answer = society.member.request(operation.method, operation.filled(others), body)
    if "multipart" in json.dumps(operation.told.get("requestBody", {})):
        assert answer.status in (400, 404)
    elif answer.status == 204:  # a delete that says nothing of what there is
        assert operation.method == "DELETE" and 404 not in operation.codes
    else:
        assert (answer.status, answer.code) in ((404, "not_found"), (403, "forbidden")), answer.body
    assert snapshot_of(society.stranger, others) == before


def snapshot_of(person, things):
    capsule, channel = things[("capsules", "id")], things[("channels", "id")]
    told = [person.get(path).json for path in (f"/v1/capsules/{capsule}/checkpoints", f"/v1/channels/{channel}", "/v1/api-keys", "/v1/snapshots",
                                                 f"/v1/teams/{person.team}")]
    row = person.get(f"/v1/capsules/{capsule}").json
    return [told, row["status"], row["metadata"]]


NONSENSE = [b"", b"nonsense", b"[]", b"null", b"7", b'"x"', b"{", b'{"a":}', b"\xff\xfe", b"{}" * 2, b"[" * 2000 + b"]" * 2000, b'{"name":"\\ud800"}']
VALUES = [None, True, -1, 0, 1e308, 2 ** 63, "", "x", "\u0000", "a/../b", "\u202e", "x" * 70_000, [], [None], [{}], {}, {"a": {"a": {}}}, "cl-" + "z" * 25,
          "team-" + "0" * 25, "%00", "' OR 1=1 --"]


def names_in(schema, depth=0):
    schema = resolve(schema)
    return list(schema.get("properties", {})) if depth < 2 else []


@each([one for one in OPERATIONS if one.takes_json and not one.path.endswith("/logout")])
class TestBodies:
    def ask(self, society, operation, things, body):
        person = society.admin if operation.for_admins else society.member
        if operation.path.endswith("/snapshot"):  # ends what it is made of
            things = {**things, ("admin/capsules", "id"): person.post("/v1/admin/capsules", {}).json["id"]}
        if operation.open:
            return society.request(operation.method, operation.filled(things), body, key=None)
        return person.request(operation.method, operation.filled(things), body)

    def test_no_json(self, society, things, operation):
        for body in NONSENSE:
            answer = self.ask(society, operation, things, body)
            is_told(operation, answer)
            assert answer.status < 500 and (answer.status >= 400 or body in (b"", b"{}")), (body[:40], answer.status)

    def test_values_of_all_kinds(self, society, things, operation):
        schema = operation.told["requestBody"]["content"]["application/json"]["schema"]
        for name, value in itertools.product(names_in(schema), VALUES):
            answer = self.ask(society, operation, things, {name: value})
            is_told(operation, answer)
            assert answer.status != 500, (name, value)

    def test_a_body_that_is_too_large(self, society, things, operation):
        answer = self.ask(society, operation, things, b'{"x":"' + b"x" * (4 << 20) + b'"}')
        assert (answer.status, answer.code) == (413, "too_large")


@pytest.fixture(scope="module")
def things(society):
    """Of a person whom nothing is left of afterwards; names that lead nowhere for what must not be ended."""
    mine = things_of(society.member)
    return {**mine, ("teams", "id"): society.stranger.team, ("hosts", "id"): "host-" + "0" * 24 + "9", ("admin/teams", "id"): "team-" + "0" * 24 + "9",
            ("admin/users", "id"): "usr-" + "0" * 24 + "9", ("admin/capsules", "id"): society.admin.post("/v1/admin/capsules", {}).json["id"]}


IDS = ["x", "cl-", "cl-" + "z" * 25, "cl-" + "0" * 26, "team-" + "0" * 24, "%2e%2e", "%00", "..%2f..", "\u00e9".encode().hex(), "1" * 300, "' OR 1=1 --".replace(" ", "%20")]


@each([one for one in OPERATIONS if "{" in one.path and not one.is_stream])
def test_ids_that_are_none(society, operation):
    person = society.admin if operation.for_admins else society.member
    names = [one["name"] for one in operation.parameters if one["in"] == "path"]
    for bad in IDS:
        path = operation.path
        for name in names:
            path = path.replace("{%s}" % name, bad)
        answer = person.request(operation.method, path, {} if operation.takes_json else None)
        assert 400 <= answer.status < 500 or answer.status in (204, 302), (path, answer.status, answer.body[:200])
        if answer.status >= 400 and answer.headers["Content-Type"].startswith("application/json"):
            assert answer.json["error"]["code"]


QUERIES = ["limit=x", "limit=-1", "limit=99999999999999999999", "before=x", "range=x", "from=x&to=y", "status=x", "page=x", "%", "a=%zz", "metadata=x", "type=x",
           "signal=SIGNOPE", "overwrite=perhaps", "last_event_id=x", "x" * 4000]


@each([one for one in OPERATIONS if one.method == "GET" and not one.is_stream and not one.path.startswith("/auth")])
def test_queries_that_make_no_sense(society, things, operation):
    person = society.admin if operation.for_admins else society.member
    for query in QUERIES:
        answer = person.request("GET", f"{operation.filled(things)}?{query}")
        assert answer.status < 500, (query, answer.status, answer.body[:200])
        if answer.status != 414:
            is_told(operation, answer)
