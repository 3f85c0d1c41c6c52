"""What stands in the audit log, and who reads it."""
import time

import pytest
from fake_agent import Fail
from people import sign_up


@pytest.fixture(scope="module")
def society(request):
    from conftest import end, make
    plane = make("--auth-rate-limits", "false", mails=True)
    plane.admin = sign_up(plane, "admin@example.com", "Admin")
    yield plane
    end(plane)


def log_of(person, query=""):
    answer = person.get(f"/v1/audit-logs{query}")
    assert answer.status == 200, answer.body
    return answer.json["items"]


def short(items):
    return [(one["resource_type"], one["action"], one["scope"], one["status"]) for one in items]


def test_the_life_of_a_capsule(society):
    person = sign_up(society)
    key = person.new_key("robot")
    capsule = person.post("/v1/capsules", {}).json["id"]
    assert society.post(f"/v1/capsules/{capsule}/pause", key=key["key"]).status == 200
    assert person.post(f"/v1/capsules/{capsule}/resume").status == 200
    assert person.post("/v1/snapshots", {"sandbox_id": capsule, "name": "snap"}).status == 201
    assert person.delete("/v1/snapshots/snap").status == 204
    assert person.delete(f"/v1/capsules/{capsule}").status == 204
    items = log_of(person)
    assert short(items) == [
        ("sandbox", "destroy", "team", "warning"), ("snapshot", "delete", "team", "warning"), ("snapshot", "create", "team", "success"),
        ("sandbox", "resume", "team", "success"), ("sandbox", "pause", "team", "success"), ("sandbox", "create", "team", "success"),
        ("api_key", "create", "team", "success")]
    create, pause = items[5], items[4]
    assert (create["actor_type"], create["actor_id"], create["actor_name"]) == ("user", person.id, person.email)
    assert create["resource_id"] == capsule and create["metadata"]["template"] == "minimal-debian"
    assert (pause["actor_type"], pause["actor_id"], pause["actor_name"]) == ("api_key", key["id"], "robot")
    assert items[1]["resource_id"] == "snap"


def test_failures_are_told(society):
    person = sign_up(society)
    society.agent.on["CreateSandbox"] = lambda agent, request: (_ for _ in ()).throw(Fail("internal", "no more memory"))
    try:
        assert person.post("/v1/capsules", {}).status == 502
    finally:
        del society.agent.on["CreateSandbox"]
    deadline = time.monotonic() + 10
    while len(log_of(person)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    cleanup, failed = log_of(person)
    assert (failed["action"], failed["status"], failed["actor_type"]) == ("create", "error", "user")
    assert "no more memory" in failed["metadata"]["error"]
    assert (cleanup["action"], cleanup["actor_type"], cleanup["metadata"]["reason"]) == ("destroy", "system", "cleanup_after_create_error")


def test_members_see_less(society):
    owner, member = sign_up(society), sign_up(society)
    owner.post(f"/v1/teams/{owner.team}/members", {"email": member.email})
    owner.patch(f"/v1/teams/{owner.team}", {"name": "Renamed"})
    member.switch(owner.team)
    assert short(log_of(owner)) == [("team", "rename", "team", "info"), ("member", "add", "admin", "success")]
    assert short(log_of(member)) == [("team", "rename", "team", "info")]
    renamed = log_of(member)[0]["metadata"]
    assert renamed == {"old_name": f"{owner.name}'s Team", "new_name": "Renamed"}
    owner.patch(f"/v1/teams/{owner.team}/members/{member.id}", {"role": "admin"})
    assert short(log_of(member))[0] == ("member", "role_update", "admin", "info")


def test_of_ones_own_team_only(society):
    person, other = sign_up(society), sign_up(society)
    person.new_key()
    assert len(log_of(person)) == 1 and log_of(other) == []


def test_the_platforms(society):
    person = sign_up(society)
    assert society.admin.put(f"/v1/admin/users/{person.id}/admin", {"admin": True}).status == 204
    assert society.admin.put(f"/v1/admin/users/{person.id}/active", {"active": False}).status == 204
    items = society.admin.get("/v1/admin/audit-logs?resource_type=user").json["items"]
    assert short(items[:2]) == [("user", "deactivate", "admin", "warning"), ("user", "grant_admin", "admin", "success")]
    assert items[0]["resource_id"] == person.id and items[0]["metadata"] == {"email": person.email}


class TestPages:
    @pytest.fixture(scope="class")
    def person(self, society):
        person = sign_up(society)
        for number in range(7):
            person.new_key(f"key {number}")
        with society.database() as database:  # all at the same moment: the id decides
            database.execute("UPDATE audit_logs SET created_at = 1700000000123456 WHERE team_id = ?", (person.team,))
        return person

    def test_pages_join_without_gap(self, person):
        whole, seen, query = [one["id"] for one in log_of(person)], [], "?limit=3"
        for pages in range(1, 10):
            page = person.get(f"/v1/audit-logs{query}").json
            seen += [one["id"] for one in page["items"]]
            if "next_before" not in page:
                break
            query = f"?limit=3&before={page['next_before']}&before_id={page['next_before_id']}"
        assert seen == whole and len(whole) == 7 and pages == 3
        assert page["items"][0]["created_at"] == "2023-11-14T22:13:20.123456Z"

    def test_the_last_page_says_so_when_it_is_full(self, person):
        assert "next_before" not in person.get("/v1/audit-logs?limit=7").json

    def test_filters(self, person):
        person.patch(f"/v1/teams/{person.team}", {"name": "Another"})
        assert {one["resource_type"] for one in log_of(person, "?resource_type=team")} == {"team"}
        assert len(log_of(person, "?resource_type=team,api_key")) == 8
        assert len(log_of(person, "?action=create&action=rename")) == 8
        assert log_of(person, "?action=revoke") == []

    @pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "before=yesterday", "before_id=log-x", "before=2023-11-14T22:13:20Z&before_id=x"])
    def test_bad_queries(self, person, query):
        assert person.get(f"/v1/audit-logs?{query}").status == 400


def test_an_erased_account_is_named_no_more(society):
    """15 days after it was deleted."""
    owner, person = sign_up(society), sign_up(society)
    owner.post(f"/v1/teams/{owner.team}/members", {"email": person.email})
    person.switch(owner.team)
    person.new_key()
    assert person.delete("/v1/me", {"confirmation": person.email}).status == 204
    assert any(one.get("actor_name") == person.email for one in log_of(owner))
    with society.database() as database:
        database.execute("UPDATE users SET deleted_at = deleted_at - 15 * 86400000000 - 1 WHERE id = ?", (person.id,))
    owner.post("/v1/auth/logout")  # housekeeping looks after whatever was revoked
    deadline = time.monotonic() + 10
    while True:
        with society.database() as database:
            if database.execute("SELECT COUNT(*) FROM users WHERE id = ?", (person.id,)).fetchone()[0] == 0:
                break
        assert time.monotonic() < deadline, "the account is still there"
        time.sleep(0.05)
    with society.database() as database:
        rows = database.execute("SELECT * FROM audit_logs WHERE team_id = ?", (owner.team,)).fetchall()
    assert rows and all(person.id not in str(value) and person.email not in str(value) for row in rows for value in row)
    assert any("deleted-user" in [str(value) for value in row] for row in rows)


class TestLimits:
    """What a team may have at once."""

    @pytest.mark.parametrize("flag,body,allowed,code", [
        ("--team-max-concurrent-sandboxes=2", {}, 2, "concurrent_sandbox_limit"), ("--team-max-vcpus=4", {"vcpus": 2}, 2, "vcpu_limit"),
        ("--team-max-memory=1G", {"memory_mb": 512}, 2, "memory_limit")])
    def test_over(self, flag, body, allowed, code):
        from conftest import end, make
        plane = make(flag, mails=True)
        try:
            admin = sign_up(plane)
            for n in range(allowed + 1):
                answer = admin.post("/v1/admin/capsules", body)
                assert answer.status == (201 if n < allowed else 402), "the platform's team is one as others"
            made = [plane.post("/v1/capsules", body).json["id"] for _ in range(allowed)]
            answer = plane.post("/v1/capsules", body)
            assert (answer.status, answer.code) == (402, code)
            answer = plane.post(f"/v1/capsules/{made[0]}/fork", {"count": 1})
            assert (answer.status, answer.code) == (402, code)
            assert plane.post("/v1/capsules", body, key=plane.add_key()).status == 201  # another team
            # What is paused does not count, and so it has no place to come back to when another has taken it.
            path = f"/v1/capsules/{made[0]}"
            checkpoint = plane.post(f"{path}/checkpoints", {}).json["id"]
            assert plane.post(f"{path}/rollback", {"checkpoint": checkpoint}).status == 200, "it has its own place"
            assert plane.post(f"{path}/pause").status == 200
            taken = plane.post("/v1/capsules", body).json["id"]
            for answer in (plane.post(f"{path}/resume"), plane.post(f"{path}/rollback", {"checkpoint": checkpoint})):
                assert (answer.status, answer.code) == (402, code)
                assert plane.row(made[0])["status"] == "paused"
            assert plane.agent.called("ResumeSandbox") == [] and len(plane.agent.called("RollbackSandbox")) == 1
            assert plane.delete(f"/v1/capsules/{taken}").status == 204
            assert plane.post(f"{path}/resume").json["status"] == "running"
            # Nor does what has failed.
            plane.agent.sandboxes[made[0]]["status"] = "error"
            plane.wait_for_row(made[0], "error")
            taken = plane.post("/v1/capsules", body).json["id"]
            answer = plane.post(f"{path}/rollback", {"checkpoint": checkpoint})
            assert (answer.status, answer.code) == (402, code)
            assert plane.delete(f"/v1/capsules/{taken}").status == 204
            assert plane.post(f"{path}/rollback", {"checkpoint": checkpoint}).json["status"] == "running"
        finally:
            end(plane)
