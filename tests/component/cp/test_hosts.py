"""Hosts to be looked at: who sees which, and what they use over time."""
import secrets

import pytest
from conftest import end, make
from fake_agent import Drop, Fail
from people import log_in, sign_up
from waiting import wait_until

UNKNOWN = "host-" + "0" * 24 + "9"
ALWAYS = {"id", "type", "status", "created_by", "created_at", "updated_at"}
MADE = 9_000_000_000_000_000  # microseconds: after the control plane's own, which stays the first


@pytest.fixture(scope="module")
def world():
    """A control plane with its admin, and a team with an owner and a member and a host of its own."""
    plane = make("--auth-rate-limits", "false", mails=True)
    plane.admin, plane.owner, plane.member, plane.stranger = (sign_up(plane) for _ in range(4))
    assert plane.owner.post(f"/v1/teams/{plane.owner.team}/members", {"email": plane.member.email}).status == 201
    plane.member.switch(plane.owner.team)
    plane.byoc = insert(plane, "byoc", plane.owner.team, plane.owner.id)
    # What no team has is nobody's but the admins', whatever else stands in the row.
    plane.others = [insert(plane, "regular", None), insert(plane, "regular", plane.owner.team)]
    plane.local = plane.admin.get("/v1/hosts").json[0]["id"]
    yield plane
    end(plane)


def insert(plane, kind, team, by=None):
    """What registering hosts will do."""
    host = "host-" + "".join(secrets.choice("0123456789") for _ in range(25))
    with plane.database() as database:
        database.execute("INSERT INTO hosts (id, type, team_id, provider, availability_zone, address, created_by, created_at, updated_at) "
                         "VALUES (?, ?, ?, 'hetzner', 'fsn1', '10.9.9.9:50051', ?, ?, ?)", (host, kind, team, by, MADE, MADE))
    return host


@pytest.fixture(autouse=True)
def an_obedient_agent(world):
    yield
    world.agent.on.pop("GetHostMetrics", None)


class TestWhoSeesWhat:
    def test_admins_see_all_with_their_teams(self, world):
        answer = world.admin.get("/v1/hosts")
        assert answer.status == 200
        assert {one["id"] for one in answer.json} == {world.local, world.byoc, *world.others}
        told = {one["id"]: one for one in answer.json}
        name = world.owner.get(f"/v1/teams/{world.owner.team}").json["team"]["name"]
        assert told[world.byoc] == {
            "id": world.byoc, "type": "byoc", "team_id": world.owner.team, "team_name": name, "provider": "hetzner",
            "availability_zone": "fsn1", "address": "10.9.9.9:50051", "status": "pending", "created_by": world.owner.id,
            "created_at": "2255-03-14T16:00:00Z", "updated_at": "2255-03-14T16:00:00Z"}
        for host, view in told.items():
            answer = world.admin.get(f"/v1/hosts/{host}")
            if host != world.local:  # which is heard of again and again
                assert (answer.status, answer.json) == (200, view)

    def test_the_host_it_works_with(self, world):
        def told():
            return world.admin.get(f"/v1/hosts/{world.local}").json
        wait_until(lambda: told()["status"] == "online")
        host = told()
        assert set(host) == ALWAYS | {"arch", "cpu_cores", "memory_mb", "disk_gb", "address", "last_heartbeat_at"}
        assert (host["type"], host["arch"], host["cpu_cores"], host["memory_mb"], host["disk_gb"]) == ("regular", "x86_64", 4, 16384, 100)
        assert host["created_by"] == "" and host["address"] == world.agent.address

    @pytest.mark.parametrize("who", ["owner", "member"])
    def test_a_team_sees_its_own(self, world, who):
        person = getattr(world, who)
        answer = person.get("/v1/hosts")
        assert answer.status == 200 and [one["id"] for one in answer.json] == [world.byoc]
        assert "team_name" not in answer.json[0] and answer.json[0]["team_id"] == person.team
        one = person.get(f"/v1/hosts/{world.byoc}")
        assert (one.status, one.json) == (200, answer.json[0])

    def test_the_team_in_which_one_works_counts(self, world):
        person = log_in(world, world.member.email)
        assert [one["id"] for one in person.get("/v1/hosts").json] == ([world.byoc] if person.team == world.owner.team else [])
        own = next(one["id"] for one in person.get("/v1/teams").json if one["id"] != world.owner.team)
        person.switch(own)
        assert person.get("/v1/hosts").json == []
        assert person.get(f"/v1/hosts/{world.byoc}").status == 404

    def test_others_see_nothing(self, world):
        assert world.stranger.get("/v1/hosts").json == []
        for person, hosts in ((world.stranger, [world.local, world.byoc, *world.others, UNKNOWN]),
                              (world.owner, [world.local, *world.others, UNKNOWN]), (world.admin, [UNKNOWN])):
            for host in hosts:
                for path in (f"/v1/hosts/{host}", f"/v1/hosts/{host}/metrics"):
                    answer = person.get(path)
                    assert (answer.status, answer.code, answer.message) == (404, "not_found", "host not found")

    @pytest.mark.parametrize("route", ["", "/{id}", "/{id}/metrics"])
    def test_sessions_only(self, world, route):
        path = "/v1/hosts" + route.format(id=world.local)
        for key in (world.key, world.admin.new_key()["key"], world.owner.new_key()["key"]):
            answer = world.get(path, key=key)
            assert (answer.status, answer.code) == (403, "forbidden")
        assert world.get(path, key=None).status == 401

    @pytest.mark.parametrize("bad", ["x", "host-", UNKNOWN[:-1], UNKNOWN + "0", UNKNOWN.upper(), UNKNOWN.replace("host", "cl"), "host-" + "z" * 25, "%00"])
    def test_ids_that_are_none(self, world, bad):
        for path in (f"/v1/hosts/{bad}", f"/v1/hosts/{bad}/metrics"):
            answer = world.admin.get(path)
            assert (answer.status, answer.code, answer.message) == (400, "invalid_request", "invalid host ID")


class TestMetrics:
    def path(self, world, query=""):
        return f"/v1/hosts/{world.local}/metrics{query}"

    def test_as_the_agent_has_them(self, world):
        answer = world.admin.get(self.path(world))
        assert (answer.status, answer.json) == (200, {
            "host_id": world.local, "range": "10m",
            "points": [{"timestamp_unix": 2, "cpu_pct": 37.5, "mem_bytes": 1 << 33, "disk_bytes": 1 << 40}]})

    @pytest.mark.parametrize("name", ["5m", "10m", "1h", "2h", "6h", "12h", "24h"])
    def test_ranges(self, world, name):
        world.agent.on["GetHostMetrics"] = lambda *_: {"points": []}
        answer = world.admin.get(self.path(world, f"?range={name}"))
        assert (answer.status, answer.json) == (200, {"host_id": world.local, "range": name, "points": []})
        assert world.agent.called("GetHostMetrics")[-1] == {"range": name}

    @pytest.mark.parametrize("name", ["", "7m", "10M", "30d"])
    def test_ranges_that_are_none(self, world, name):
        before = len(world.agent.called("GetHostMetrics"))
        answer = world.admin.get(self.path(world, f"?range={name}"))
        assert (answer.status, answer.code) == (400, "invalid_request") and answer.message.startswith("range: must be")
        assert len(world.agent.called("GetHostMetrics")) == before

    def test_of_a_team_for_its_members(self, world):
        with world.database() as database:
            database.execute("UPDATE hosts SET type = 'byoc', team_id = ? WHERE id = ?", (world.owner.team, world.local))
        try:
            for person in (world.admin, world.owner, world.member):
                assert [one["cpu_pct"] for one in person.get(self.path(world)).json["points"]] == [37.5]
            assert world.stranger.get(self.path(world)).status == 404
        finally:
            with world.database() as database:
                database.execute("UPDATE hosts SET type = 'regular', team_id = NULL WHERE id = ?", (world.local,))

    @pytest.mark.parametrize("failure", [Fail("unavailable", "no answer", 503), Drop()], ids=["unavailable", "no answer"])
    def test_the_host_is_away(self, world, failure):
        def away(*_):
            raise failure
        world.agent.on["GetHostMetrics"] = away
        answer = world.admin.get(self.path(world))
        assert (answer.status, answer.code) == (503, "host_unavailable")
        assert answer.message.startswith("the host does not answer") and answer.headers["Retry-After"]

    def test_a_host_without_a_connection(self, world):
        answer = world.owner.get(f"/v1/hosts/{world.byoc}/metrics")
        assert (answer.status, answer.code) == (503, "host_unavailable")

    @pytest.mark.parametrize("failure, status", [(Fail("internal", "it broke"), 502), (Fail("unimplemented", "no such method", 501), 501)],
                             ids=["it fails", "it is too old"])
    def test_the_agent_fails(self, world, failure, status):
        def fail(*_):
            raise failure
        world.agent.on["GetHostMetrics"] = fail
        answer = world.admin.get(self.path(world))
        assert (answer.status, answer.code) == (status, "agent_error") and str(failure) in answer.message


def test_an_agent_that_is_not_there(plane):
    """Its row stays to be seen; what only it knows cannot be told."""
    plane.stop()
    plane.flags += ("--mail-dir", plane.dir + "/mails")
    plane.start()
    admin = sign_up(plane)
    host = admin.get("/v1/hosts").json[0]["id"]
    plane.agent.stop()
    answer = admin.get(f"/v1/hosts/{host}/metrics")
    assert (answer.status, answer.code) == (503, "host_unavailable")
    assert admin.get(f"/v1/hosts/{host}").status == 200
