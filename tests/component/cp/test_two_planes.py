"""Two control planes on one PostgreSQL: what one revokes, the other refuses."""
import time

import pytest
from conftest import end, make
from fake_agent import FakeAgent, held
from own_database import SERVER
from people import sign_up
from waiting import in_background, wait_until

pytestmark = pytest.mark.skipif(not SERVER, reason="several control planes share a PostgreSQL, not a SQLite file")


@pytest.fixture(scope="module")
def planes():
    first = make("--auth-rate-limits", "false", mails=True)
    second = first.beside()
    yield first, second
    code = second.stop()
    log = second.log_text()
    second.remove()
    end(first)
    assert code == 0 and "task failed" not in log, log[-4000:]


def soon(check, seconds=6):
    """Long before what the other process remembers is over (10 s)."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_session_and_a_key_work_on_both_and_end_on_both(planes):
    first, second = planes
    person = sign_up(first)
    key = person.new_key()
    there = {"headers": {"Authorization": f"Bearer {person.token}"}, "key": None}
    assert second.get("/v1/me", **there).status == 200
    assert second.get("/v1/capsules", key=key["key"]).status == 200
    assert person.delete(f"/v1/api-keys/{key['id']}").status == 204
    soon(lambda: second.get("/v1/capsules", key=key["key"]).status == 401)
    assert person.post("/v1/auth/logout").status == 204
    soon(lambda: second.get("/v1/me", **there).status == 401)


def test_a_removed_member_is_out_on_both(planes):
    first, second = planes
    owner, member = sign_up(first), sign_up(first)
    owner.post(f"/v1/teams/{owner.team}/members", {"email": member.email})
    member.switch(owner.team)
    there = {"headers": {"Authorization": f"Bearer {member.token}"}, "key": None}
    assert second.get("/v1/capsules", **there).status == 200
    assert owner.delete(f"/v1/teams/{owner.team}/members/{member.id}").status == 204
    soon(lambda: second.get("/v1/capsules", **there).status == 401)


def test_a_key_of_an_idempotent_create_counts_on_both(planes):
    first, second = planes
    made = first.post("/v1/capsules", {}, headers={"Idempotency-Key": "both"}).json["id"]
    again = second.post("/v1/capsules", {}, headers={"Idempotency-Key": "both"}, key=first.key)
    assert (again.status, again.json["id"]) == (201, made)


def test_one_ends_what_the_other_began(planes):
    """A deleted team's capsules go, whichever process does it, and once."""
    first, second = planes
    person = sign_up(first)
    capsules = [person.post("/v1/capsules", {}).json["id"] for _ in range(3)]
    before = [call for call in first.agent.calls if call[0] == "DestroySandbox"]
    assert second.request("DELETE", f"/v1/teams/{person.team}", headers={"Authorization": f"Bearer {person.token}"}, key=None).status == 204
    for capsule in capsules:
        first.wait_for_row(capsule, "stopped")
    calls = [call for call in first.agent.calls if call[0] == "DestroySandbox"][len(before):]
    assert sorted(call[1]["sandboxId"] for call in calls) == sorted(capsules)


def test_one_leaves_alone_what_the_other_works_on(planes):
    """A fork whose children the host does not know yet, and a pause that waits its turn there: both take longer than a row that
    nobody works on is left alone (5 s), and the other process looks at them all the time."""
    first, second = planes
    parent, capsule = first.create(), first.create()
    first.agent.on["ForkSandbox"], fork_on = held(FakeAgent.fork)
    first.agent.on["PauseSandbox"], pause_on = held(FakeAgent.pause)
    forked = in_background(lambda: first.post(f"/v1/capsules/{parent}/fork", {"count": 3}, headers={"Prefer": "wait=20"}))
    paused = in_background(lambda: first.post(f"/v1/capsules/{capsule}/pause"))
    wait_until(lambda: first.agent.called("ForkSandbox") and first.agent.called("PauseSandbox"))
    children = [child["sandboxId"] for child in first.agent.called("ForkSandbox")[0]["children"]]
    begun = {one: first.row(one) for one in (*children, capsule)}
    time.sleep(6.5)
    for one, row in begun.items():
        after = first.row(one)
        assert (after["status"], after["revision"], after["last_updated"]) == (row["status"], row["revision"], row["last_updated"])
    fork_on.set()
    pause_on.set()
    told = forked()
    assert [child["status"] for child in told.json["capsules"]] == ["running"] * 3, told.body
    assert paused().json["status"] == "paused"
    del first.agent.on["ForkSandbox"], first.agent.on["PauseSandbox"]
