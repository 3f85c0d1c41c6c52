"""Teams, members, roles, keys: who may do what, and what ends when somebody goes."""
import http.client
import itertools
import threading
import time

import pytest
from fake_agent import end, start
from people import PASSWORD, Mails, log_in, new_address, sign_up


@pytest.fixture(scope="module")
def society(request):
    import conftest
    plane = conftest.make("--auth-rate-limits", "false", mails=True)
    plane.admin = sign_up(plane, "admin@example.com", "Admin")
    yield plane
    conftest.end(plane)


@pytest.fixture
def team(society):
    """An owner, an admin and a member of one team, all working in it."""
    owner = sign_up(society, name="Owner")
    people = {"owner": owner}
    for role in ("admin", "member"):
        person = people[role] = sign_up(society, name=role.capitalize())
        answer = owner.post(f"/v1/teams/{owner.team}/members", {"email": person.email})
        assert (answer.status, answer.json["role"], answer.json["user_id"]) == (201, "member", person.id)
        if role == "admin":
            assert owner.patch(f"/v1/teams/{owner.team}/members/{person.id}", {"role": "admin"}).status == 204
        person.switch(owner.team)
    people["id"] = owner.team
    return people


class TestTeams:
    def test_make_and_work_in_it(self, society):
        person = sign_up(society)
        answer = person.post("/v1/teams", {"name": "  Second team "})
        assert answer.status == 201
        made = answer.json
        assert (made["name"], made["role"], made["is_byoc"]) == ("Second team", "owner", False)
        assert [one["id"] for one in person.get("/v1/teams").json] == [person.team, made["id"]]
        assert person.get(f"/v1/teams/{made['id']}").status == 403  # not the active one
        capsule = person.post("/v1/capsules", {}).json["id"]
        person.switch(made["id"])
        assert person.get("/v1/me").json["team_id"] == made["id"]
        assert person.get("/v1/capsules").json == []
        assert person.get(f"/v1/capsules/{capsule}").status == 404
        detail = person.get(f"/v1/teams/{made['id']}").json
        assert detail["team"]["id"] == made["id"] and "role" not in detail["team"]
        assert [(one["user_id"], one["role"]) for one in detail["members"]] == [(person.id, "owner")]
        Mails(society).wait_for(person.email, "Your team has been created")

    @pytest.mark.parametrize("name", ["", "   ", "a/b", "x" * 129, "naïve", "a\nb", "<b>"])
    def test_bad_names(self, society, name):
        assert society.admin.post("/v1/teams", {"name": name}).status == 400
        assert society.admin.patch(f"/v1/teams/{society.admin.team}", {"name": name}).status == 400

    def test_switch(self, society):
        person, other = sign_up(society), sign_up(society)
        for team, status in ((other.team, 403), ("team-" + "0" * 24 + "9", 404), ("nonsense", 400), ("", 400)):
            assert person.post("/v1/auth/switch-team", {"team_id": team}).status == status
        assert person.get("/v1/me").json["team_id"] == person.team

    def test_delete(self, society):
        person = sign_up(society)
        team = person.post("/v1/teams", {"name": "Short-lived"}).json["id"]
        person.switch(team)
        key = person.new_key()["key"]
        capsule = society.post("/v1/capsules", {}, key=key).json["id"]
        assert society.post("/v1/snapshots", {"sandbox_id": capsule, "name": "kept"}, key=key).status == 201
        assert person.delete(f"/v1/teams/{team}").status == 204
        assert society.get("/v1/capsules", key=key).status == 401
        assert person.get("/v1/me").status == 401  # its sessions have ended
        society.wait_for_row(capsule, "stopped")
        deadline = time.monotonic() + 10
        while True:
            with society.database() as database:
                left = database.execute("SELECT COUNT(*) FROM templates WHERE team_id = ?", (team,)).fetchone()[0]
            if left == 0:
                break
            assert time.monotonic() < deadline, "the team's snapshot is still there"
            time.sleep(0.05)
        again = log_in(society, person.email)
        assert team not in [one["id"] for one in again.get("/v1/teams").json]
        assert again.post("/v1/auth/switch-team", {"team_id": team}).status == 404


class TestMembers:
    ALLOWED = {  # who may, of owner, admin, member
        "rename": {"owner", "admin"}, "add": {"owner", "admin"}, "role": {"owner", "admin"}, "remove": {"owner", "admin"},
        "delete": {"owner"}, "leave": {"admin", "member"}, "read": {"owner", "admin", "member"}}

    @pytest.mark.parametrize("action,role", itertools.product(ALLOWED, ("owner", "admin", "member")))
    def test_roles(self, society, team, action, role):
        actor, id = team[role], team["id"]
        victim = sign_up(society)
        if action in ("role", "remove"):
            assert team["owner"].post(f"/v1/teams/{id}/members", {"email": victim.email}).status == 201
        answer = {"rename": lambda: actor.patch(f"/v1/teams/{id}", {"name": "Other"}),
                  "add": lambda: actor.post(f"/v1/teams/{id}/members", {"email": victim.email}),
                  "role": lambda: actor.patch(f"/v1/teams/{id}/members/{victim.id}", {"role": "admin"}),
                  "remove": lambda: actor.delete(f"/v1/teams/{id}/members/{victim.id}"),
                  "delete": lambda: actor.delete(f"/v1/teams/{id}"),
                  "leave": lambda: actor.post(f"/v1/teams/{id}/leave"),
                  "read": lambda: actor.get(f"/v1/teams/{id}/members")}[action]()
        if role in self.ALLOWED[action]:
            assert answer.status in (200, 201, 204), answer.body
        else:
            assert (answer.status, answer.code) == (403, "forbidden")

    def test_the_owner_stays_what_he_is(self, team):
        owner = team["owner"]
        for actor in (team["admin"], owner):
            assert actor.delete(f"/v1/teams/{team['id']}/members/{owner.id}").status == 403
            assert actor.patch(f"/v1/teams/{team['id']}/members/{owner.id}", {"role": "member"}).status == 403
        answer = owner.patch(f"/v1/teams/{team['id']}/members/{team['member'].id}", {"role": "owner"})
        assert (answer.status, answer.code) == (400, "invalid_request")

    def test_add_whom(self, society, team):
        owner, path = team["owner"], f"/v1/teams/{team['id']}/members"
        assert owner.post(path, {"email": "nobody@example.com"}).status == 404
        assert owner.post(path, {"email": team["member"].email}).status == 400
        assert owner.post(path, {"email": "no address"}).status == 400
        waiting = new_address()
        society.post("/v1/auth/signup", {"email": waiting, "password": PASSWORD, "name": "N"}, key=None)
        assert owner.post(path, {"email": waiting}).status == 404
        Mails(society).wait_for(team["member"].email, "You've been added to a team on Wrenn")

    def test_a_removed_member_is_out_at_once(self, society, team):
        member, owner = team["member"], team["owner"]
        second = log_in(society, member.email)
        second.switch(team["id"])
        home = log_in(society, member.email)  # in his own team
        key, own = member.new_key()["key"], home.new_key()["key"]
        for one in (member, second):
            assert one.get("/v1/capsules").status == 200
        assert society.get("/v1/capsules", key=key).status == 200
        assert owner.delete(f"/v1/teams/{team['id']}/members/{member.id}").status == 204
        assert member.get("/v1/capsules").status == 401 and second.get("/v1/capsules").status == 401
        assert society.get("/v1/capsules", key=key).status == 401
        assert home.get("/v1/capsules").status == 200
        assert society.get("/v1/capsules", key=own).status == 200
        assert home.post("/v1/auth/switch-team", {"team_id": team["id"]}).status == 403
        assert owner.delete(f"/v1/teams/{team['id']}/members/{member.id}").status == 404
        assert owner.patch(f"/v1/teams/{team['id']}/members/{member.id}", {"role": "admin"}).status == 404

    def test_a_role_changes_at_once(self, team):
        member, owner = team["member"], team["owner"]
        path = f"/v1/teams/{team['id']}"
        assert member.patch(path, {"name": "X"}).status == 403
        assert owner.patch(f"{path}/members/{member.id}", {"role": "admin"}).status == 204
        assert member.patch(path, {"name": "X"}).status == 204
        assert owner.patch(f"{path}/members/{member.id}", {"role": "member"}).status == 204
        assert member.patch(path, {"name": "Y"}).status == 403

    def test_who_leaves_goes_on_in_another_team(self, team):
        member = team["member"]
        assert member.post(f"/v1/teams/{team['id']}/leave").status == 204
        me = member.get("/v1/me").json
        assert me["team_id"] != team["id"] and me["role"] == "owner"


class TestKeys:
    def test_life(self, society):
        person = sign_up(society)
        made = person.new_key("  my laptop ")
        assert made["name"] == "my laptop" and made["key"].startswith(made["key_prefix"]) and len(made["key_prefix"]) == 10
        assert (made["created_by"], made["creator_email"], made["team_id"]) == (person.id, person.email, person.team)
        listed = person.get("/v1/api-keys").json
        assert [one["id"] for one in listed] == [made["id"]]
        assert "key" not in listed[0] and "e2b_key" not in listed[0] and "last_used" not in listed[0]
        for key in (made["key"], made["e2b_key"]):
            assert society.get("/v1/capsules", key=key).status == 200
            assert society.get("/v1/capsules", key=None, headers={"Authorization": f"Bearer {key}"}).status == 200
        assert person.delete(f"/v1/api-keys/{made['id']}").status == 204
        for key in (made["key"], made["e2b_key"]):
            assert society.get("/v1/capsules", key=key).status == 401
        assert person.delete(f"/v1/api-keys/{made['id']}").status == 204
        assert person.get("/v1/api-keys").json == []

    def test_e2b_spelling(self, society):
        person = sign_up(society)
        key = person.new_key()["e2b_key"]
        assert len(key) == 44 and key.startswith("e2b_")
        for wrong in (key[:-1], key + "0", key[:-1] + ("0" if key[-1] != "0" else "1"), key.upper()):
            assert society.get("/v1/capsules", key=wrong).status == 401

    def test_of_another_team(self, society):
        person, other = sign_up(society), sign_up(society)
        made = person.new_key()
        assert other.delete(f"/v1/api-keys/{made['id']}").status == 204  # says nothing, does nothing
        assert society.get("/v1/capsules", key=made["key"]).status == 200

    def test_names(self, society):
        person = sign_up(society)
        assert person.new_key("")["name"] == "Unnamed API Key"
        assert person.post("/v1/api-keys", {}).json["name"] == "Unnamed API Key"
        assert person.post("/v1/api-keys", {"name": "x" * 101}).status == 400
        assert person.delete("/v1/api-keys/nonsense").status == 400


class TestStreams:
    """What lasts longer than a request ends with the credentials that opened it."""

    def test_a_terminal_ends_with_its_key(self, society):
        guest = society.agent.guest
        guest.wait["hold"] = threading.Event()
        guest.scripts["hold"] = [start(42), ("wait",), end(0)]
        person = sign_up(society)
        made = person.new_key()
        capsule = society.post("/v1/capsules", {}, key=made["key"]).json["id"]
        kept = society.socket(f"/v1/capsules/{capsule}/exec/stream", key=person.new_key()["key"], timeout=20)
        socket = society.socket(f"/v1/capsules/{capsule}/exec/stream", key=made["key"], timeout=20)
        for one in (socket, kept):
            one.send({"type": "start", "cmd": "hold"})
            assert one.receive()["type"] == "start"
        assert person.delete(f"/v1/api-keys/{made['id']}").status == 204
        assert socket.all()[-1] == {"type": "error", "data": "the credentials are no longer good"}
        guest.wait["hold"].set()
        assert kept.all()[-1] == {"type": "exit", "exit_code": 0}  # another key's went on

    def test_a_listener_ends_with_its_session(self, society):
        person = sign_up(society)
        connection = http.client.HTTPConnection("127.0.0.1", society.port, timeout=20)
        connection.request("GET", "/v1/events/stream", headers={"Authorization": f"Bearer {person.token}"})
        answer = connection.getresponse()
        assert answer.status == 200 and answer.readline().startswith(b"retry:")
        started = time.monotonic()
        assert person.post("/v1/auth/logout").status == 204
        answer.read()
        assert time.monotonic() - started < 10, "only the look that comes every 15 s has ended it"


class TestAdministration:
    def test_lists(self, society):
        person = sign_up(society)
        users = society.admin.get("/v1/admin/users").json
        row = next(one for one in users["users"] if one["id"] == person.id)
        assert (row["email"], row["status"], row["is_admin"], row["teams_joined"], row["teams_owned"]) == (person.email, "active", False, 1, 1)
        assert users["per_page"] == 100 and users["page"] == 1 and users["total"] >= len(users["users"]) > 1
        teams = society.admin.get("/v1/admin/teams?page=0").json
        row = teams["teams"][0]  # the newest
        assert row["id"] == person.team
        assert (row["owner_email"], row["member_count"], row["deleted_at"], row["active_sandbox_count"]) == (person.email, 1, None, 0)
        assert all(one["slug"] != "platform" for one in teams["teams"])
        assert society.admin.get("/v1/admin/users?page=99").json["users"] == []

    def test_disable(self, society):
        person = sign_up(society)
        key = person.new_key()["key"]
        capsule = person.post("/v1/capsules", {}).json["id"]
        assert society.admin.put(f"/v1/admin/users/{person.id}/active", {"active": False}).status == 204
        assert person.get("/v1/me").status == 401
        assert society.get("/v1/capsules", key=key).status == 401
        answer = society.post("/v1/auth/login", {"email": person.email, "password": PASSWORD}, key=None)
        assert (answer.status, answer.code) == (403, "account_disabled")
        society.wait_for_row(capsule, "paused")  # nothing of his is lost
        assert society.admin.put(f"/v1/admin/users/{person.id}/active", {"active": True}).status == 204
        again = log_in(society, person.email)
        assert again.post(f"/v1/capsules/{capsule}/resume").status == 200

    def test_not_oneself(self, society):
        answer = society.admin.put(f"/v1/admin/users/{society.admin.id}/active", {"active": False})
        assert (answer.status, answer.code) == (400, "invalid_request")

    def test_admins_come_and_go_at_once(self, society):
        person = sign_up(society)
        assert person.get("/v1/admin/users").status == 403
        assert society.admin.put(f"/v1/admin/users/{person.id}/admin", {"admin": True}).status == 204
        assert person.get("/v1/admin/users").status == 200
        assert society.admin.put(f"/v1/admin/users/{person.id}/admin", {"admin": False}).status == 204
        assert person.get("/v1/admin/users").status == 403
        answer = society.admin.put(f"/v1/admin/users/{society.admin.id}/admin", {"admin": False})
        assert (answer.status, answer.message) == (400, "cannot remove the last admin")
        assert society.admin.put("/v1/admin/users/usr-" + "0" * 24 + "9/admin", {"admin": True}).status == 404
        assert society.admin.put(f"/v1/admin/users/{person.id}/admin", {}).status == 400

    def test_teams(self, society):
        person = sign_up(society)
        path = f"/v1/admin/teams/{person.team}"
        assert society.admin.put(f"{path}/byoc", {"enabled": False}).status == 400
        assert society.admin.put(f"{path}/byoc", {"enabled": True}).status == 204
        assert person.get("/v1/teams").json[0]["is_byoc"] is True
        assert society.admin.delete(path).status == 204
        assert person.get("/v1/me").status == 401
        assert society.admin.delete(path).status == 404
        assert society.admin.delete("/v1/admin/teams/team-" + "0" * 25).status == 404  # the platform's
        last = society.admin.get("/v1/admin/teams").json["total_pages"]  # deleted ones come last
        row = next(one for one in society.admin.get(f"/v1/admin/teams?page={last}").json["teams"] if one["id"] == person.team)
        assert row["deleted_at"] is not None


class TestWhoMayAsk:
    """Every route for users: not without credentials, not with a key, and the admin's not as a user."""
    TEAM, USER, KEY = "team-" + "0" * 24 + "1", "usr-" + "0" * 24 + "1", "key-" + "0" * 24 + "1"
    USERS = [("POST", "/v1/auth/logout"), ("POST", "/v1/auth/switch-team"), ("GET", "/v1/me"), ("PATCH", "/v1/me"), ("DELETE", "/v1/me"),
             ("POST", "/v1/me/password"), ("DELETE", "/v1/me/providers/github"), ("GET", "/v1/users/search"), ("GET", "/v1/teams"),
             ("POST", "/v1/teams"), ("GET", f"/v1/teams/{TEAM}"), ("PATCH", f"/v1/teams/{TEAM}"), ("DELETE", f"/v1/teams/{TEAM}"),
             ("GET", f"/v1/teams/{TEAM}/members"), ("POST", f"/v1/teams/{TEAM}/members"), ("PATCH", f"/v1/teams/{TEAM}/members/{USER}"),
             ("DELETE", f"/v1/teams/{TEAM}/members/{USER}"), ("POST", f"/v1/teams/{TEAM}/leave"), ("GET", "/v1/api-keys"),
             ("POST", "/v1/api-keys"), ("DELETE", f"/v1/api-keys/{KEY}"), ("GET", "/v1/audit-logs")]
    ADMINS = [("GET", "/v1/admin/teams"), ("PUT", f"/v1/admin/teams/{TEAM}/byoc"), ("DELETE", f"/v1/admin/teams/{TEAM}"),
              ("GET", "/v1/admin/users"), ("PUT", f"/v1/admin/users/{USER}/active"), ("PUT", f"/v1/admin/users/{USER}/admin"),
              ("GET", "/v1/admin/audit-logs")]

    @pytest.mark.parametrize("method,path", USERS + ADMINS)
    def test_not_without(self, society, method, path):
        assert society.request(method, path, {}, key=None).status == 401

    @pytest.mark.parametrize("method,path", USERS + ADMINS)
    def test_not_with_a_key(self, society, method, path):
        answer = society.request(method, path, {})
        assert (answer.status, answer.code) == (403, "forbidden")

    @pytest.mark.parametrize("method,path", ADMINS)
    def test_not_as_a_user(self, society, method, path):
        person = sign_up(society)
        answer = person.request(method, path, {})
        assert (answer.status, answer.code, answer.message) == (403, "forbidden", "admin access required")

    @pytest.mark.parametrize("method,path", [one for one in USERS if "{" not in one[1] and "/teams/" in one[1]])
    def test_not_in_another_team(self, society, method, path):
        person, other = sign_up(society), sign_up(society)
        answer = person.request(method, path.replace(self.TEAM, other.team).replace(self.USER, other.id), {"name": "X", "email": person.email, "role": "admin"})
        assert (answer.status, answer.code) == (403, "forbidden")
