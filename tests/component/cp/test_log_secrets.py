"""No line of the log holds a secret, whatever goes well or wrong; every secret here is looked for in the whole log."""
import http.client
import os
import secrets
import subprocess

import pytest
from conftest import end
from control_plane import WRENN, ControlPlane
from fake_agent import FakeAgent
from people import PASSWORD, Mails, log_in, new_address, sign_up
from test_accounts import Browser
from test_channels import QUICK
from test_oauth import FakeGithub, begin, come_back, cookie_of
from waiting import wait_until
from webhook_receiver import WebhookReceiver

DEAD = "127.0.0.1:9"  # discard: nobody listens


def marked(what):
    return f"{what}{secrets.token_hex(8)}"


class Told(list):
    """Secrets that were used; each is looked for as it is, and as it stands in a URL."""

    def __call__(self, secret):
        self.append(secret)
        return secret

    def check(self, log, *wanted):
        for word in wanted:
            assert word in log, f"the log does not tell of {word}: is its level debug?"
        for secret in self:
            assert len(secret) >= 8
            for line in log.splitlines():
                assert secret not in line, f"{secret} stands in {line}"


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def github():
    fake = FakeGithub()
    yield fake
    fake.server.shutdown()


@pytest.fixture
def environment(monkeypatch, told, github):
    """Secrets of the operator. The mail server and Redis are away, so what is logged are failures."""
    values = {"OAUTH_GITHUB_CLIENT_SECRET": told(marked("clientsecret")), "WRENN_ENCRYPTION_KEY": told(secrets.token_hex(32)),
              "WRENN_AGENT_TOKEN": told(marked("agenttoken")), "REDIS_URL": f"redis://user:{told(marked('redispassword'))}@{DEAD}/0"}
    github.secret = values["OAUTH_GITHUB_CLIENT_SECRET"]
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def make(github, *flags, mails=True):
    agent = FakeAgent()
    plane = ControlPlane(agent.address, *QUICK, "--auth-rate-limits", "false", "--gateway-domains", "caps.test",
                         "--oauth-github-client-id", "the client", "--oauth-github-url", github.url,
                         "--oauth-github-api-url", github.url, *flags, mails=mails)
    plane.agent = agent
    return plane


@pytest.fixture
def plane(environment, github):
    one = make(github)
    yield one
    end(one)


def test_credentials_of_people(plane, told):
    address, password = new_address(), told(marked("password"))
    plane.post("/v1/auth/signup", {"email": address, "password": password, "name": "N"}, key=None)
    activation = told(Mails(plane).token(address, "Activate your Wrenn account"))
    assert plane.post("/v1/auth/login", {"email": address, "password": password}, key=None).status in (401, 403)
    person_told = plane.post("/v1/auth/activate", {"token": activation}, key=None)
    assert person_told.status == 200
    assert plane.post("/v1/auth/activate", {"token": activation}, key=None).status >= 400
    told(person_told.json["token"])
    person = log_in(plane, address, password)
    told(person.token)
    assert plane.post("/v1/auth/login", {"email": address, "password": told(marked("wrong"))}, key=None).status == 401
    assert plane.post("/v1/auth/login", f'{{"email": "{address}", "password": "{told(marked("torn"))}', key=None).status == 400
    assert plane.post("/v1/auth/login", {"email": told(marked("instead")), "passwort": told(marked("typo"))}, key=None).status >= 400
    new = told(marked("newpassword"))
    assert person.post("/v1/me/password", {"current_password": password, "new_password": new}).status in (200, 204)
    assert plane.post("/v1/me/password/reset", {"email": address}, key=None).status in (200, 202, 204)
    reset = told(Mails(plane).token(address, "Reset your Wrenn password"))
    for status in (204, 400):
        assert plane.post("/v1/me/password/reset/confirm", {"token": reset, "new_password": told(marked("third"))}, key=None).status == status

    second = sign_up(plane)
    browser = Browser(plane, plane.post("/v1/auth/login", {"email": second.email, "password": PASSWORD}, key=None))
    for value in browser.jar.values():
        told(value)
    assert {"wrenn_session", "wrenn_csrf"} <= browser.jar.keys()
    assert browser.request("GET", "/v1/me").status == 200
    assert browser.request("PATCH", "/v1/me", {"name": "M"}, csrf=False).status == 403
    key = told(second.new_key()["key"])
    told("e2b_" + key.removeprefix("wrn_"))
    plane.get("/v1/capsules", key=key)
    told.check(plane.log_text(), '"path":"/v1/auth/login"', '"path":"/v1/me/password/reset"', '"path":"/v1/api-keys"')


def test_what_stands_in_requests(plane, told):
    for path in ("/v1/capsules", "/nothing", "/v1/capsules/cl-0000000000000000000000000/exec/stream", "/v1/events/stream",
                 "/v1/me", "/docs", "/metrics", "/healthz", "/v1/capsules/cl-%zz"):
        plane.get(f"{path}?token={told(marked('query'))}&api_key={told(marked('wrn_'))}", key=None)
        plane.get(path, key=None, headers={"Authorization": f"Bearer {told(marked('bearer'))}", "X-API-Key": told(marked("wrn_")),
                                           "Cookie": f"wrenn_session={told(marked('session'))}", "X-CSRF-Token": told(marked("csrf"))})
        plane.request("BREW", path + "?token=" + told(marked("query")), key=None)
    # To a port of a guest, which is not there.
    plane.get(f"/?token={told(marked('guest'))}", key=None, headers={"Host": "8080-cl-0000000000000000000000000.caps.test"})
    capsule = plane.create()
    plane.get(f"/a?token={told(marked('guest'))}", key=None, headers={"Host": f"8080-{capsule}.caps.test"})
    # What is no HTTP.
    for text in (b"GET /?token=%s HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nAuthorization %s\r\n\r\n", b"%s\r\n\r\n",
                 b"GET /?%s\x01 HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n%s"):
        connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=5)
        connection.connect()
        connection.sock.sendall(text % told(marked("raw")).encode())
        connection.sock.shutdown(1)
        connection.sock.recv(4096)
        connection.close()
    plane.post("/v1/capsules", {"template": told(marked("notemplate")), "tokens": told(marked("field"))})
    told.remove(next(one for one in told if one.startswith("notemplate")))  # a name is none
    told.check(plane.log_text(), '"path":"/v1/capsules"', '"path":"/nothing"', '"msg":"request to a guest"')


def test_channels(plane, told):
    receiver = WebhookReceiver()
    receiver.answer = lambda received: (302, {"Location": f"http://{DEAD}/{receiver.marked}"})
    receiver.marked = told(marked("location"))
    events = ["capsule.create"]
    digits = "".join(secrets.choice("123456789") for _ in range(12))
    add = lambda name, provider, wanted, **config: plane.post(
        "/v1/channels", {"name": name, "provider": provider, "config": config, "events": wanted})
    try:
        answers = [
            # Nobody there, one who sends elsewhere, an address that is none, a name that nobody has.
            add("dead", "webhook", events, url=f"http://{DEAD}/{told(marked('path'))}?t={told(marked('query'))}", secret=told(marked("secret"))),
            add("userinfo", "webhook", events, url=f"https://{DEAD}/{told(marked('path'))}"),
            add("elsewhere", "webhook", events, url=f"{receiver.url}/{told(marked('path'))}"),
            add("no-tls", "webhook", events, url=receiver.url.replace("http:", "https:") + told(marked("path"))),
            add("nobody", "webhook", events, url=f"http://nobody.invalid/{told(marked('path'))}"),
            # Never sent: they lead out of this machine.
            add("d", "discord", ["host.up"], webhook_url=f"https://discord.com/api/webhooks/{digits}/{told(marked('discord'))}"),
            add("s", "slack", ["host.up"], webhook_url=f"https://hooks.slack.com/services/T1/B1/{told(marked('slack'))}"),
            add("t", "telegram", ["host.up"], bot_token=f"123456:{told(marked('telegram') + 'A' * 11)}", chat_id="1")]
        assert [one.status for one in answers] == [201] * len(answers), [one.body for one in answers]
        for answer in answers:
            if "secret" in answer.json:
                told(answer.json["secret"])
        rotated = plane.request("PUT", f"/v1/channels/{answers[0].json['id']}/config", {"config": {}})
        told(rotated.json["secret"])
        for provider, config in (("webhook", {"url": f"http://{DEAD}/{told(marked('test'))}", "secret": told(marked("secret"))}),
                                 ("webhook", {"url": f"gopher://{DEAD}/{told(marked('test'))}"}),
                                 ("webhook", {"url": f"http://u:{told(marked('userinfo'))}@{DEAD}/"}),
                                 ("discord", {"webhook_url": f"https://discord.com/{told(marked('test'))}"}),
                                 ("telegram", {"bot_token": told(marked("test")), "chat_id": "1"}),
                                 ("nothing", {"token": told(marked("test"))})):
            assert plane.post("/v1/channels/test", {"provider": provider, "config": config}).status >= 400
        plane.create()
        wait_until(lambda: plane.log_text().count("could not be delivered yet") >= 3)
        told.check(plane.log_text(), '"path":"/v1/channels/test"', "could not be delivered yet")
    finally:
        receiver.stop()


def test_providers(plane, github, told):
    _, _, state = begin(plane)
    told(state)
    come_back(plane, state, told(marked("badcode")))
    come_back(plane, told(marked("badstate")), told(marked("code")))
    _, _, state = begin(plane, "signup")
    github.broken = "exchange"
    come_back(plane, told(state), told(marked("code")))
    github.broken = "user"
    code = told(marked("code"))
    github.knows(code, 7, "octo@example.com")
    _, _, state = begin(plane, "signup")
    come_back(plane, told(state), code)
    github.broken = None
    code = told(marked("code"))
    github.knows(code, 8, "cat@example.com")
    _, _, state = begin(plane, "signup")
    answer = come_back(plane, told(state), code)
    assert len(github.tokens) == 2
    for secret in (*github.tokens, cookie_of(answer, "wrenn_session"), cookie_of(answer, "wrenn_csrf")):
        told(secret)
    told.check(plane.log_text(), "a sign-in with a provider failed", '"path":"/auth/oauth/github/callback"')


def test_the_operators_own(environment, github, told, monkeypatch):
    monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("SMTP_PORT", "9")
    monkeypatch.setenv("SMTP_USERNAME", "mailer")
    monkeypatch.setenv("SMTP_PASSWORD", told(marked("smtppassword")))
    plane = make(github, mails=False)
    try:
        plane.post("/v1/auth/signup", {"email": new_address(), "password": told(marked("password")), "name": "N"}, key=None)
        wait_until(lambda: "a mail was not sent" in plane.log_text())
        plane.create()
        wait_until(lambda: "not copied to Redis" in plane.log_text())
        told.check(plane.log_text(), "control plane listens")
    finally:
        end(plane)


@pytest.mark.parametrize("name,value", [
    ("DATABASE_URL", "postgres://wrenn:{}@127.0.0.1:9/wrenn"), ("DATABASE_URL", "postgres://wrenn:{}@127.0.0.1:port/wrenn"),
    ("DATABASE_URL", "postgres://wrenn:{}@[127.0.0.1/wrenn"), ("DATABASE_URL", "postgres://127.0.0.1:9/wrenn?password={}&nonsense=1"),
    ("DATABASE_URL", "mysql://wrenn:{}@127.0.0.1/wrenn"), ("DATABASE_URL", "{}"), ("REDIS_URL", "http://user:{}@127.0.0.1/"),
    ("REDIS_URL", "redis://user:{}@127.0.0.1:port/"), ("REDIS_URL", "{}"), ("WRENN_ENCRYPTION_KEY", "{}"),
    ("WRENN_ENCRYPTION_KEY", "0" * 64 + "{}")])
def test_settings_that_are_wrong(tmp_path, told, name, value):
    done = subprocess.run([WRENN, "--dir", str(tmp_path), "--log-level", "debug", "cp", "--listen", "127.0.0.1:0"], capture_output=True,
                          text=True, timeout=30, env={**os.environ, "WRENN_AGENT_TOKEN": told(marked("agenttoken")),
                                                      name: value.format(told(marked("secret")))})
    assert done.returncode != 0 and done.stderr
    told.check(done.stdout + done.stderr)
