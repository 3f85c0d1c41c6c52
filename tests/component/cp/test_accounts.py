"""Sign-up, sign-in, passwords, sessions, cookies, the end of an account."""
import hashlib
import http.cookies
import time

import pytest
from people import PASSWORD, Mails, Person, log_in, new_address, sign_up


@pytest.fixture(scope="module")
def society(request):
    """A control plane without limits on attempts, whose mails can be read. Its first user is the admin."""
    from conftest import end, make
    plane = make("--auth-rate-limits", "false", mails=True)
    plane.admin = sign_up(plane, "admin@example.com", "Admin")
    yield plane
    end(plane)


def test_the_first_user_is_the_admin_and_no_other(society):
    assert society.admin.get("/v1/me").json["is_admin"] is True
    assert sign_up(society).get("/v1/me").json["is_admin"] is False


class TestSignUp:
    def test_account_of_its_own_team(self, society):
        person = sign_up(society, name="Bob")
        me = person.get("/v1/me").json
        assert me == {"user_id": person.id, "name": "Bob", "email": person.email, "has_password": True, "providers": [],
                      "is_admin": False, "team_id": person.team, "role": "owner"}
        teams = person.get("/v1/teams").json
        assert [(one["id"], one["name"], one["role"]) for one in teams] == [(person.team, "Bob's Team", "owner")]

    def test_mail(self, society):
        person = sign_up(society, name="Zoë <b>")
        mail = Mails(society).wait_for(person.email, "Activate your Wrenn account")
        assert mail.get_content_type() == "multipart/alternative"
        text = mail.get_body(("plain",)).get_content()
        page = mail.get_body(("html",)).get_content()
        assert "Hello Zoë <b>," in text and "http://localhost:8000/activate?token=" in text
        assert "Zoë &lt;b&gt;" in page and "<b>" not in page

    def test_nobody_is_in_before_the_link(self, society):
        address = new_address()
        society.post("/v1/auth/signup", {"email": address, "password": PASSWORD, "name": "N"}, key=None)
        answer = society.post("/v1/auth/login", {"email": address, "password": PASSWORD}, key=None)
        assert (answer.status, answer.code) == (403, "account_not_activated")
        # Who does not know the password is not told.
        answer = society.post("/v1/auth/login", {"email": address, "password": "something else"}, key=None)
        assert (answer.status, answer.code) == (401, "unauthorized")

    def test_a_link_works_once(self, society):
        person = sign_up(society)
        token = Mails(society).token(person.email, "Activate your Wrenn account")
        answer = society.post("/v1/auth/activate", {"token": token}, key=None)
        assert (answer.status, answer.code) == (400, "invalid_token")

    def test_a_link_ends_after_half_an_hour(self, society):
        address = new_address()
        society.post("/v1/auth/signup", {"email": address, "password": PASSWORD, "name": "N"}, key=None)
        token = Mails(society).token(address, "Activate your Wrenn account")
        with society.database() as database:
            database.execute("UPDATE one_time_tokens SET expires_at = ? WHERE token_hash = ?",
                             (int(time.time() * 1e6), hashlib.sha256(token.encode()).hexdigest()))
        answer = society.post("/v1/auth/activate", {"token": token}, key=None)
        assert (answer.status, answer.code) == (400, "invalid_token")

    def test_an_address_is_taken_once(self, society):
        person = sign_up(society)
        for spelling in (person.email, person.email.upper(), f"  {person.email} "):
            answer = society.post("/v1/auth/signup", {"email": spelling, "password": PASSWORD, "name": "N"}, key=None)
            assert (answer.status, answer.code) == (409, "email_taken")

    def test_an_inactive_account_gives_way_after_half_an_hour(self, society):
        address = new_address()
        body = {"email": address, "password": PASSWORD, "name": "First"}
        assert society.post("/v1/auth/signup", body, key=None).status == 201
        answer = society.post("/v1/auth/signup", body, key=None)
        assert (answer.status, answer.code) == (409, "signup_cooldown")
        first = Mails(society).token(address, "Activate your Wrenn account")
        with society.database() as database:
            database.execute("UPDATE users SET created_at = created_at - 1801000000 WHERE email = ?", (address,))
        assert society.post("/v1/auth/signup", {**body, "name": "Second"}, key=None).status == 201
        assert society.post("/v1/auth/activate", {"token": first}, key=None).code == "invalid_token"

    def test_a_stranger_chooses_no_password_for_the_owner_of_the_mailbox(self, society):
        address = new_address()
        stranger = {"email": address, "password": "the stranger's", "name": "Stranger"}
        owner = {**stranger, "password": PASSWORD}
        assert society.post("/v1/auth/signup", stranger, key=None).status == 201
        assert society.post("/v1/auth/signup", stranger, key=None).code == "signup_cooldown"  # by itself it changes nothing
        assert society.post("/v1/auth/login", stranger, key=None).code == "account_not_activated"
        answer = society.post("/v1/auth/signup", owner, key=None)
        assert (answer.status, answer.code) == (409, "signup_cooldown") and "choose a password" in answer.message
        token = Mails(society).token(address, "Activate your Wrenn account")
        person = Person(society, society.post("/v1/auth/activate", {"token": token}, key=None).json)
        assert person.get("/v1/me").json["has_password"] is False
        for body in (stranger, owner):
            assert society.post("/v1/auth/login", body, key=None).status == 401
        assert person.post("/v1/me/password", {"new_password": PASSWORD, "confirm_password": PASSWORD}).status == 204
        log_in(society, address)

    @pytest.mark.parametrize("body", [
        {}, {"email": "a@b.c"}, {"email": "a@b.c", "password": "short", "name": "N"}, {"email": "nobody", "password": PASSWORD, "name": "N"},
        {"email": "a@b.c", "password": PASSWORD, "name": ""}, {"email": "a@b.c", "password": PASSWORD, "name": "x" * 101},
        {"email": 7, "password": PASSWORD, "name": "N"}, {"email": "a@b.c", "password": "x" * 1025, "name": "N"},
        {"email": "a@b.c\r\nBcc: x@y.z", "password": PASSWORD, "name": "N"}, {"email": "a@b.c", "password": PASSWORD, "name": "a\u0000b"}])
    def test_refused(self, society, body):
        answer = society.post("/v1/auth/signup", body, key=None)
        assert (answer.status, answer.code) == (400, "invalid_request")

    def test_passwords_are_hashed(self, society):
        person = sign_up(society)
        with society.database() as database:
            stored = database.execute("SELECT password_hash FROM users WHERE id = ?", (person.id,)).fetchone()[0]
        assert stored.startswith("$scrypt$ln=14,r=8,p=5$")


class TestSignIn:
    def test_bcrypt_of_earlier_installations(self, society):
        person = sign_up(society)
        with society.database() as database:  # of "U*U", see tests/unit/crypto
            database.execute("UPDATE users SET password_hash = ? WHERE id = ?",
                             ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", person.id))
        assert log_in(society, person.email, "U*U").id == person.id
        with society.database() as database:  # and is a better one from now on
            stored = database.execute("SELECT password_hash FROM users WHERE id = ?", (person.id,)).fetchone()[0]
        assert stored.startswith("$scrypt$")
        assert log_in(society, person.email, "U*U").id == person.id

    @pytest.mark.parametrize("address,password", [("nobody@example.com", PASSWORD), (None, "wrong password"), ("%", PASSWORD)])
    def test_wrong(self, society, address, password):
        answer = society.post("/v1/auth/login", {"email": address or society.admin.email, "password": password}, key=None)
        assert (answer.status, answer.code, answer.message) == (401, "unauthorized", "invalid email or password")

    def test_nothing(self, society):
        answer = society.post("/v1/auth/login", {}, key=None)
        assert (answer.status, answer.code) == (400, "invalid_request")

    def test_log_out_ends_the_session_at_once(self, society):
        person = sign_up(society)
        other = log_in(society, person.email)
        assert person.get("/v1/me").status == 200
        assert person.post("/v1/auth/logout").status == 204
        assert person.get("/v1/me").status == 401
        assert other.get("/v1/me").status == 200

    def test_a_session_ends_after_a_week_without_use(self, society):
        person = sign_up(society)
        with society.database() as database:
            database.execute("UPDATE sessions SET used_at = used_at - 8 * 86400000000 WHERE user_id = ?", (person.id,))
        assert person.get("/v1/me").status == 401

    def test_a_session_ends_after_a_month(self, society):
        person = sign_up(society)
        with society.database() as database:
            database.execute("UPDATE sessions SET expires_at = ? WHERE user_id = ?", (int(time.time() * 1e6), person.id))
        assert person.get("/v1/me").status == 401

    def test_a_session_works_where_a_key_does(self, society):
        person = sign_up(society)
        assert person.get("/v1/capsules").json == []
        answer = person.post("/v1/capsules", {})
        assert answer.status == 201
        key = person.new_key()["key"]
        assert [one["id"] for one in society.get("/v1/capsules", key=key).json] == [answer.json["id"]]

    def test_the_database_does_not_hold_what_lets_in(self, society):
        person = sign_up(society)
        with society.database() as database:
            rows = database.execute("SELECT * FROM sessions WHERE user_id = ?", (person.id,)).fetchall()
        assert rows and all(person.token not in str(value) for row in rows for value in row)


class Browser:
    """Sends cookies as a browser does."""

    def __init__(self, plane, answer):
        self.plane, self.jar, self.fields = plane, {}, answer.headers.get_all("Set-Cookie")
        for field in self.fields:
            for name, morsel in http.cookies.SimpleCookie(field).items():
                self.jar[name] = morsel.value

    def request(self, method, path, body=None, headers=None, csrf=True):
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.jar.items()), **(headers or {})}
        if csrf:
            headers["X-CSRF-Token"] = self.jar["wrenn_csrf"]
        return self.plane.request(method, path, body, headers=headers, key=None)


class TestCookies:
    @pytest.fixture
    def browser(self, society):
        person = sign_up(society)
        answer = society.post("/v1/auth/login", {"email": person.email, "password": PASSWORD}, key=None)
        return Browser(society, answer)

    def test_what_is_set(self, browser):
        session = next(one for one in browser.fields if one.startswith("wrenn_session="))
        csrf = next(one for one in browser.fields if one.startswith("wrenn_csrf="))
        assert "HttpOnly" in session and "SameSite=Lax" in session and "Path=/" in session and "Secure" not in session
        assert "HttpOnly" not in csrf and "SameSite=Lax" in csrf
        assert browser.jar["wrenn_csrf"] not in browser.jar["wrenn_session"]

    def test_secure_behind_tls(self, society):
        answer = society.post("/v1/auth/login", {"email": society.admin.email, "password": PASSWORD}, key=None,
                              headers={"X-Forwarded-Proto": "https"})
        assert all("Secure" in one for one in answer.headers.get_all("Set-Cookie"))

    @pytest.mark.parametrize("origin,status", [(None, 200), ("http://127.0.0.1:{port}", 200), ("http://localhost:8000", 200),
                                               ("https://evil.example", 403), ("null", 403)])
    def test_a_foreign_page_signs_nobody_in(self, society, origin, status):
        fields = {"Origin": origin.format(port=society.port)} if origin else {}
        body = {"email": society.admin.email, "password": PASSWORD}
        answer = society.post("/v1/auth/login", body, key=None, headers=fields)
        assert answer.status == status
        assert ("Set-Cookie" in answer.headers) == (status == 200)
        activated = society.post("/v1/auth/activate", {"token": "0" * 32}, key=None, headers=fields)
        assert activated.status == (400 if status == 200 else 403)

    def test_reading_needs_the_cookie_alone(self, browser):
        assert browser.request("GET", "/v1/me", csrf=False).status == 200

    def test_changing_needs_more(self, browser):
        answer = browser.request("PATCH", "/v1/me", {"name": "X"}, csrf=False)
        assert (answer.status, answer.code) == (403, "forbidden")
        assert "csrf" in answer.message
        for wrong in ("", "x", browser.jar["wrenn_session"], browser.jar["wrenn_csrf"][:-1]):
            assert browser.request("PATCH", "/v1/me", {"name": "X"}, headers={"X-CSRF-Token": wrong}, csrf=False).status == 403
        assert browser.request("PATCH", "/v1/me", {"name": "X"}).status == 200

    def test_of_another_session(self, society, browser):
        person = sign_up(society)
        other = Browser(society, society.post("/v1/auth/login", {"email": person.email, "password": PASSWORD}, key=None))
        browser.jar["wrenn_csrf"] = other.jar["wrenn_csrf"]
        assert browser.request("PATCH", "/v1/me", {"name": "X"}).status == 403

    def test_a_key_in_the_field_wins(self, society, browser):
        answer = browser.request("POST", "/v1/capsules", {}, headers={"X-API-Key": society.key}, csrf=False)
        assert answer.status == 201

    def test_log_out_clears(self, society, browser):
        answer = browser.request("POST", "/v1/auth/logout")
        assert answer.status == 204
        assert all("Max-Age=0" in one for one in answer.headers.get_all("Set-Cookie"))
        assert browser.request("GET", "/v1/me").status == 401

    def test_web_sockets_ask_where_the_page_is_from(self, society, browser):
        from websocket import Refused, WebSocket
        capsule = browser.request("POST", "/v1/capsules", {}).json["id"]
        cookie = f"wrenn_session={browser.jar['wrenn_session']}"
        path = f"/v1/capsules/{capsule}/exec/stream"
        for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": f"http://127.0.0.1:{society.port}.evil.example"}):
            with pytest.raises(Refused) as refused:
                WebSocket(society.port, path, {"Cookie": cookie, **origin})
            assert refused.value.status == 403
        socket = WebSocket(society.port, path, {"Cookie": cookie, "Origin": f"http://127.0.0.1:{society.port}"})
        socket.send({"type": "start", "cmd": "x"})
        assert socket.all()[-1] == {"type": "exit", "exit_code": 0}


class TestPasswords:
    def test_change(self, society):
        person = sign_up(society)
        other = log_in(society, person.email)
        key = person.new_key()["key"]
        answer = person.post("/v1/me/password", {"current_password": "wrong one", "new_password": "another horse"})
        assert (answer.status, answer.code) == (401, "wrong_password")
        answer = person.post("/v1/me/password", {"current_password": PASSWORD, "new_password": "short"})
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert person.post("/v1/me/password", {"current_password": PASSWORD, "new_password": "another horse"}).status == 204
        assert person.get("/v1/me").status == 200  # the session that changed it goes on
        assert other.get("/v1/me").status == 401
        assert society.get("/v1/capsules", key=key).status == 200
        assert society.post("/v1/auth/login", {"email": person.email, "password": PASSWORD}, key=None).status == 401
        log_in(society, person.email, "another horse")
        Mails(society).wait_for(person.email, "Your Wrenn password was changed")

    def test_reset_ends_sessions_and_keys_at_once(self, society):
        person = sign_up(society)
        key = person.new_key()["key"]
        assert person.get("/v1/me").status == 200 and society.get("/v1/capsules", key=key).status == 200
        assert society.post("/v1/me/password/reset", {"email": person.email.upper()}, key=None).status == 204
        token = Mails(society).token(person.email, "Reset your Wrenn password")
        answer = society.post("/v1/me/password/reset/confirm", {"token": token, "new_password": "short"}, key=None)
        assert (answer.status, answer.code) == (400, "invalid_request")  # and the link is not used up
        answer = society.post("/v1/me/password/reset/confirm", {"token": token, "new_password": "third horse"}, key=None)
        assert answer.status == 204
        assert person.get("/v1/me").status == 401 and society.get("/v1/capsules", key=key).status == 401
        log_in(society, person.email, "third horse")
        answer = society.post("/v1/me/password/reset/confirm", {"token": token, "new_password": "fourth horse"}, key=None)
        assert (answer.status, answer.code) == (400, "invalid_token")
        Mails(society).wait_for(person.email, "Your Wrenn password was reset")

    def test_the_newest_link_counts(self, society):
        person = sign_up(society)
        society.post("/v1/me/password/reset", {"email": person.email}, key=None)
        first = Mails(society).token(person.email, "Reset your Wrenn password")
        society.post("/v1/me/password/reset", {"email": person.email}, key=None)
        deadline = time.monotonic() + 10
        while Mails(society).token(person.email, "Reset your Wrenn password") == first:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        answer = society.post("/v1/me/password/reset/confirm", {"token": first, "new_password": "third horse"}, key=None)
        assert answer.code == "invalid_token"

    def test_nobody_learns_whether_there_is_an_account(self, society):
        assert society.post("/v1/me/password/reset", {"email": "nobody@example.com"}, key=None).status == 204
        assert society.post("/v1/me/password/reset", {}, key=None).status == 204

    def test_an_activation_link_resets_nothing(self, society):
        address = new_address()
        society.post("/v1/auth/signup", {"email": address, "password": PASSWORD, "name": "N"}, key=None)
        token = Mails(society).token(address, "Activate your Wrenn account")
        answer = society.post("/v1/me/password/reset/confirm", {"token": token, "new_password": "third horse"}, key=None)
        assert answer.code == "invalid_token"


class TestAccount:
    def test_rename(self, society):
        person = sign_up(society)
        answer = person.patch("/v1/me", {"name": "  New Name "})
        assert answer.status == 200
        assert (answer.json["name"], answer.json["token"], answer.json["team_id"]) == ("New Name", person.token, person.team)
        assert person.patch("/v1/me", {"name": ""}).status == 400

    def test_delete(self, society):
        person = sign_up(society)
        capsule = person.post("/v1/capsules", {}).json["id"]
        key = person.new_key()["key"]
        answer = person.delete("/v1/me", {"confirmation": "something"})
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert person.delete("/v1/me", {"confirmation": f" {person.email.upper()} "}).status == 204
        assert person.get("/v1/me").status == 401
        assert society.get("/v1/capsules", key=key).status == 401
        assert society.post("/v1/auth/login", {"email": person.email, "password": PASSWORD}, key=None).status == 401
        Mails(society).wait_for(person.email, "Your Wrenn account has been deleted")
        society.wait_for_row(capsule, "stopped")
        # The address is free again at once.
        assert sign_up(society, person.email).id != person.id

    def test_an_owner_of_a_shared_team_cannot_vanish(self, society):
        person, other = sign_up(society), sign_up(society)
        assert person.post(f"/v1/teams/{person.team}/members", {"email": other.email}).status == 201
        answer = person.delete("/v1/me", {"confirmation": person.email})
        assert (answer.status, answer.code) == (409, "owns_team_with_members")
        assert person.get("/v1/me").status == 200

    def test_search(self, society):
        person = sign_up(society, "50%_off@example.com")
        assert person.get("/v1/users/search?email=50%25_o").json == [{"user_id": person.id, "email": person.email}]
        assert person.get("/v1/users/search?email=%25%25%25").json == []
        assert person.get("/v1/users/search?email=___").json == []
        assert person.get("/v1/users/search?email=50").status == 400
        assert person.get("/v1/users/search").status == 400


class TestLimits:
    def test_attempts_at_an_account(self):
        from conftest import end, make
        plane = make(mails=True)
        try:
            statuses = [plane.post("/v1/auth/login", {"email": "a@b.c", "password": "wrong one"}, key=None).status for _ in range(11)]
            assert statuses == [401] * 10 + [429]
            answer = plane.post("/v1/auth/login", {"email": "a@b.c", "password": "wrong one"}, key=None)
            assert (answer.status, answer.code) == (429, "rate_limited")
            assert 0 < int(answer.headers["Retry-After"]) <= 30
            # Another account, until the address itself has asked too often.
            assert plane.post("/v1/auth/login", {"email": "other@b.c", "password": "wrong one"}, key=None).status == 401
            last = [plane.post("/v1/auth/activate", {"token": "0" * 32}, key=None).status for _ in range(30)][-1]
            assert last == 429
            # Somebody behind a proxy of ours is somebody else.
            answer = plane.post("/v1/auth/activate", {"token": "0" * 32}, key=None, headers={"X-Forwarded-For": "203.0.113.7"})
            assert answer.status == 400
        finally:
            end(plane)

    @pytest.mark.parametrize("asking,path,body", [
        (1, "/v1/auth/signup", {"email": "x@example.com", "password": PASSWORD, "name": "X"}), (2, "/v1/me/password/reset", {"email": "x@example.com"}),
        (3, "/v1/me/password/reset/confirm", {"token": ""}), (4, "/v1/me/password", {"current_password": "wrong one", "new_password": PASSWORD})])
    def test_attempts_elsewhere(self, limited, asking, path, body):
        elsewhere = {"X-Forwarded-For": f"203.0.113.{asking}"}
        for _ in range(30):
            answer = limited.person.post(path, body, headers=elsewhere)
            if answer.status == 429:
                break
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert int(answer.headers["Retry-After"]) > 0

    @pytest.fixture(scope="class")
    def limited(self):
        from conftest import end, make
        plane = make(mails=True)
        plane.person = sign_up(plane)
        yield plane
        end(plane)
