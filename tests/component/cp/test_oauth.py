"""Sign-in with GitHub, played by a small server."""
import http.server
import json
import secrets
import threading
import time
import urllib.parse

import pytest
from people import PASSWORD, Mails, Person, log_in, new_address, sign_up
from test_accounts import Browser


class FakeGithub:
    """Knows people by the code that they come back with."""

    def __init__(self):
        self.people, self.tokens, self.asked, self.broken, self.secret = {}, {}, [], None, "the secret"
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, body, status=200):
                text = json.dumps(body).encode() if not isinstance(body, bytes) else body
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                fake.asked.append((self.path, form, dict(self.headers)))
                if fake.broken == "exchange":
                    return self.answer(b"<html>no JSON")
                person = fake.people.pop(form["code"][0], None)  # a code works once
                if person is None or form["client_secret"] != [fake.secret]:
                    return self.answer({"error": "bad_verification_code"})
                token = "gho_" + secrets.token_hex(8)
                fake.tokens[token] = person
                self.answer({"access_token": token, "token_type": "bearer"})

            def do_GET(self):
                fake.asked.append((self.path, None, dict(self.headers)))
                person = fake.tokens.get(self.headers["Authorization"].removeprefix("Bearer "))
                if fake.broken == "user" or person is None:
                    return self.answer({"message": "Bad credentials"}, 401)
                if self.path == "/user":
                    self.answer({"id": person["id"], "login": person["login"], "name": person.get("name"), "email": "public@example.com"})
                elif self.path == "/user/emails":
                    self.answer(person["emails"])

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def knows(self, code, id, email, login="octo", name="Octo Cat", verified=True):
        self.people[code] = {"id": id, "login": login, "name": name, "emails": [
            {"email": "other@example.com", "primary": False, "verified": True}, {"email": email, "primary": True, "verified": verified}]}


@pytest.fixture(scope="module")
def github():
    fake = FakeGithub()
    yield fake
    fake.server.shutdown()


@pytest.fixture(scope="module")
def society(github):
    import os
    from conftest import end, make
    os.environ["OAUTH_GITHUB_CLIENT_SECRET"] = "the secret"  # never a flag
    try:
        plane = make("--auth-rate-limits", "false", "--oauth-github-client-id", "the client", "--oauth-github-url", github.url,
                     "--oauth-github-api-url", github.url, "--app-url", "https://app.test/", "--public-url", "https://cp.test", mails=True)
    finally:
        del os.environ["OAUTH_GITHUB_CLIENT_SECRET"]
    plane.admin = sign_up(plane, "admin@example.com", "Admin")
    yield plane
    end(plane)


def cookie_of(answer, name):
    for field in answer.headers.get_all("Set-Cookie") or []:
        if field.startswith(name + "="):
            return field.split(";")[0].split("=", 1)[1]
    return None


def begin(plane, intent="login"):
    answer = plane.get(f"/auth/oauth/github?intent={intent}", key=None)
    assert answer.status == 302
    url = urllib.parse.urlsplit(answer.headers["Location"])
    query = urllib.parse.parse_qs(url.query)
    assert query["state"] == [cookie_of(answer, "oauth_state")]
    return url, query, query["state"][0]


def come_back(plane, state, code, cookie=None):
    cookie = state if cookie is None else cookie
    return plane.get(f"/auth/oauth/github/callback?code={code}&state={state}", key=None, headers={"Cookie": f"oauth_state={cookie}"})


numbers = iter(range(1000, 9999))


def enter(plane, github, intent="signup", id=None, email=None, **more):
    code = f"code{next(numbers)}"
    github.knows(code, id or next(numbers), email or new_address(), **more)
    _, _, state = begin(plane, intent)
    return come_back(plane, state, code)


def me(plane, answer):
    return Browser(plane, answer).request("GET", "/v1/me")


def test_the_way_there(society, github):
    url, query, _ = begin(society)
    assert f"{url.scheme}://{url.netloc}" == github.url and url.path == "/login/oauth/authorize"
    assert query["client_id"] == ["the client"] and query["scope"] == ["user:email"]
    assert query["redirect_uri"] == ["https://cp.test/auth/oauth/github/callback"]


def test_a_new_account(society, github):
    email = new_address()
    answer = enter(society, github, email=email.upper())
    assert (answer.status, answer.headers["Location"]) == (302, "https://app.test/auth/github/callback")
    assert cookie_of(answer, "wrenn_oauth_new_signup") == "1"
    profile = me(society, answer).json
    assert (profile["email"], profile["name"], profile["has_password"], profile["providers"]) == (email, "Octo Cat", False, ["github"])
    assert profile["role"] == "owner" and profile["is_admin"] is False
    exchange = next(one for one in reversed(github.asked) if one[0] == "/login/oauth/access_token")
    assert exchange[1]["redirect_uri"] == ["https://cp.test/auth/oauth/github/callback"]


def test_the_name_falls_back_to_the_login(society, github):
    assert me(society, enter(society, github, login="hubot", name=None)).json["name"] == "hubot"


def test_again_is_the_same_account(society, github):
    id, email = next(numbers), new_address()
    first = me(society, enter(society, github, id=id, email=email)).json
    for intent in ("login", "signup"):
        answer = enter(society, github, intent, id=id, email="moved-" + email)  # the id counts, not the address
        assert cookie_of(answer, "wrenn_oauth_new_signup") is None
        assert me(society, answer).json["user_id"] == first["user_id"]


@pytest.mark.parametrize("intent,error", [("login", "no_account"), ("signup", "email_taken")])
def test_an_address_alone_lets_nobody_in(society, github, intent, error):
    person = sign_up(society)
    answer = enter(society, github, intent, email=person.email)
    assert answer.headers["Location"] == f"https://app.test/auth/github/callback?error={error}"
    assert cookie_of(answer, "wrenn_session") is None


def test_an_unverified_address_makes_no_account(society, github):
    answer = enter(society, github, verified=False)
    assert answer.headers["Location"].endswith("?error=no_verified_email")


def test_an_inactive_account_gives_way(society, github):
    email = new_address()
    society.post("/v1/auth/signup", {"email": email, "password": PASSWORD, "name": "N"}, key=None)
    assert me(society, enter(society, github, email=email)).json["email"] == email


def test_a_disabled_account(society, github):
    id = next(numbers)
    user = me(society, enter(society, github, id=id)).json["user_id"]
    assert society.admin.put(f"/v1/admin/users/{user}/active", {"active": False}).status == 204
    assert enter(society, github, id=id).headers["Location"].endswith("?error=account_deactivated")


class TestState:
    @pytest.mark.parametrize("bend", ["other cookie", "no cookie", "no state", "unknown", "twice", "late", "no code"])
    def test_it_must_be_ours_and_fresh(self, society, github, bend):
        code = f"code{next(numbers)}"
        github.knows(code, next(numbers), new_address())
        _, _, state = begin(society, "signup")
        other = begin(society, "signup")[2]
        error = "invalid_state"
        if bend == "other cookie":
            answer = come_back(society, state, code, other)
        elif bend == "no cookie":
            answer = society.get(f"/auth/oauth/github/callback?code={code}&state={state}", key=None)
        elif bend == "no state":
            answer = come_back(society, "", code, "")
        elif bend == "unknown":
            answer = come_back(society, "0" * 32, code)
        elif bend == "twice":
            assert "error" not in come_back(society, state, code).headers["Location"]
            answer = come_back(society, state, code)
        elif bend == "late":
            with society.database() as database:
                database.execute("UPDATE one_time_tokens SET expires_at = ?", (int(time.time() * 1e6),))
            answer = come_back(society, state, code)
        else:
            answer, error = come_back(society, state, ""), "missing_code"
        assert answer.headers["Location"].endswith(f"?error={error}")
        assert cookie_of(answer, "wrenn_session") is None

    def test_the_user_says_no(self, society):
        answer = society.get("/auth/oauth/github/callback?error=access_denied&state=x", key=None)
        assert answer.headers["Location"].endswith("?error=access_denied")

    def test_a_code_that_is_none(self, society):
        _, _, state = begin(society)
        assert come_back(society, state, "nonsense").headers["Location"].endswith("?error=exchange_failed")

    @pytest.mark.parametrize("where", ["exchange", "user"])
    def test_a_provider_that_talks_nonsense(self, society, github, where):
        github.broken = where
        try:
            assert enter(society, github).headers["Location"].endswith("?error=exchange_failed")
        finally:
            github.broken = None

    @pytest.mark.parametrize("path", ["/auth/oauth/gitlab", "/auth/oauth/gitlab/callback?code=x&state=y"])
    def test_another_provider(self, society, path):
        answer = society.get(path, key=None, headers={"Cookie": "oauth_state=y"})
        assert (answer.status, answer.code) == (404, "provider_not_found")


class TestLink:
    def begin(self, person):
        answer = person.get("/v1/me/providers/github/connect")
        assert answer.status == 200
        state = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.json["auth_url"]).query)["state"][0]
        assert cookie_of(answer, "oauth_state") == state
        return state

    def link(self, society, github, person, id):
        code = f"code{next(numbers)}"
        github.knows(code, id, new_address())
        return come_back(society, self.begin(person), code).headers["Location"]

    def test_connect_and_disconnect(self, society, github):
        person, id = sign_up(society), next(numbers)
        assert self.link(society, github, person, id) == "https://app.test/dashboard/settings?connected=github"
        assert person.get("/v1/me").json["providers"] == ["github"]
        assert me(society, enter(society, github, "login", id=id)).json["user_id"] == person.id
        assert self.link(society, github, person, id).endswith("?connected=github")  # once more is no harm
        assert self.link(society, github, person, next(numbers)).endswith("?connect_error=already_linked")
        assert person.delete("/v1/me/providers/github").status == 204
        assert person.get("/v1/me").json["providers"] == []
        assert person.delete("/v1/me/providers/github").status == 404

    def test_what_is_anothers(self, society, github):
        person, other, id = sign_up(society), sign_up(society), next(numbers)
        self.link(society, github, other, id)
        assert self.link(society, github, person, id).endswith("?connect_error=already_linked")

    def test_the_only_way_in_stays(self, society, github):
        browser = Browser(society, enter(society, github))
        answer = browser.request("DELETE", "/v1/me/providers/github")
        assert (answer.status, answer.code) == (400, "last_login_method")
        body = {"new_password": PASSWORD, "confirm_password": PASSWORD + "x"}
        assert browser.request("POST", "/v1/me/password", body).status == 400
        assert browser.request("POST", "/v1/me/password", {**body, "confirm_password": PASSWORD}).status == 204
        assert browser.request("DELETE", "/v1/me/providers/github").status == 204

    def test_a_state_to_link_signs_nobody_in(self, society, github):
        """And one to sign in links nothing."""
        person = sign_up(society)
        code = f"code{next(numbers)}"
        github.knows(code, next(numbers), new_address())
        answer = come_back(society, self.begin(person), code)
        assert cookie_of(answer, "wrenn_session") is None

    def test_the_account_is_told(self, society, github):
        person = sign_up(society)
        self.link(society, github, person, next(numbers))
        text = Mails(society).wait_for(person.email, "A sign-in was added to your Wrenn account").get_body(("plain",)).get_content()
        assert "by way of github" in text
        self.reset(society, person)
        text = Mails(society).wait_for(person.email, "Your Wrenn password was reset").get_body(("plain",)).get_content()
        assert "by way of: github" in text

    def reset(self, society, person):
        assert society.post("/v1/me/password/reset", {"email": person.email}, key=None).status == 204
        token = Mails(society).token(person.email, "Reset your Wrenn password")
        answer = society.post("/v1/me/password/reset/confirm", {"token": token, "new_password": "third horse"}, key=None)
        assert answer.status == 204

    @pytest.mark.parametrize("how", ["reset", "change"])
    def test_a_link_that_was_begun_before_leads_nowhere(self, society, github, how):
        """Who has begun it may be whom the new password is to keep out."""
        person, code = sign_up(society), f"code{next(numbers)}"
        github.knows(code, next(numbers), new_address())
        state = self.begin(person)
        if how == "reset":
            self.reset(society, person)
        else:
            assert person.post("/v1/me/password", {"current_password": PASSWORD, "new_password": "third horse"}).status == 204
        assert come_back(society, state, code).headers["Location"].endswith("?error=invalid_state")
        assert log_in(society, person.email, "third horse").get("/v1/me").json["providers"] == []
