"""wrenn admin and wrenn config check: what works when nobody can sign in."""
import json
import os
import re
import sqlite3
import subprocess

import pytest
from control_plane import WRENN
from own_database import SERVER
from people import log_in, sign_up


@pytest.fixture(scope="module")
def society(request):
    from conftest import end, make
    plane = make("--auth-rate-limits", "false", mails=True)
    yield plane
    end(plane)


def admin(plane, *arguments, stdin="", options=()):
    return subprocess.run([WRENN, "--dir", plane.dir, *options, "admin", *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **plane.own_database.environment, "LOG_LEVEL": "error"})


def test_the_first_account(society):
    done = admin(society, "create-user", "Root@Example.com", "--name", "Root", options=["--json"])
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    person = log_in(society, "root@example.com", made["password"])
    me = person.get("/v1/me").json
    assert (me["user_id"], me["team_id"], me["name"], me["is_admin"]) == (made["user_id"], made["team_id"], "Root", True)
    assert admin(society, "create-user", "root@example.com").returncode != 0


def test_a_password_of_ones_own(society):
    done = admin(society, "create-user", "own@example.com", "--password-stdin", stdin="my own password\n")
    assert done.returncode == 0 and "password" not in done.stdout
    assert log_in(society, "own@example.com", "my own password").get("/v1/me").json["is_admin"] is False
    assert admin(society, "create-user", "x@example.com", "--password-stdin", stdin="short\n").returncode != 0
    assert admin(society, "create-user", "x@example.com", "--password-stdin").returncode != 0
    assert admin(society, "create-user", "no address").returncode != 0


def test_grant_admin(society):
    person = sign_up(society)
    assert admin(society, "grant-admin", person.email).returncode == 0
    assert log_in(society, person.email).get("/v1/admin/users").status == 200
    failed = admin(society, "grant-admin", "nobody@example.com")
    assert failed.returncode != 0 and "create-user" in failed.stderr


def test_activate(society):
    body = {"email": "waiting@example.com", "password": "correct horse", "name": "N"}
    assert society.post("/v1/auth/signup", body, key=None).status == 201
    assert admin(society, "activate-user", "waiting@example.com").returncode == 0
    log_in(society, "waiting@example.com")


def test_backup(society):
    person = sign_up(society)
    done = admin(society, "backup")
    if SERVER:
        assert done.returncode != 0 and "pg_dump" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    path = done.stdout.strip()
    assert os.stat(path).st_mode & 0o777 == 0o600
    with sqlite3.connect(path) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert copy.execute("SELECT COUNT(*) FROM users WHERE email = ?", (person.email,)).fetchone()[0] == 1


class TestConfig:
    def check(self, tmp_path, role, text):
        path = tmp_path / "wrenn.toml"
        path.write_text(text)
        return subprocess.run([WRENN, "config", "check", role, "--config", str(path)], capture_output=True, text=True, timeout=60)

    @pytest.mark.parametrize("role", ["cp", "agent", "dev"])
    def test_nothing_to_say(self, tmp_path, role):
        done = self.check(tmp_path, role, "")
        assert done.returncode == 0 and f"wrenn {role}" in done.stdout

    def test_all_that_is_wrong_at_once(self, tmp_path):
        done = self.check(tmp_path, "cp", 'listn = ":1"\n[mail]\nsmtp_port = 0\n[app]\nurl = "example.com"\n')
        assert done.returncode != 0
        assert "listn" in done.stderr and "listen" in done.stderr and "smtp_port" in done.stderr

    def test_rules_over_several(self, tmp_path):
        done = self.check(tmp_path, "cp", '[oauth.github]\nclient_id = "x"\n')
        assert done.returncode != 0 and "client_secret" in done.stderr
        done = self.check(tmp_path, "cp", '[app]\nurl = "example.com"\n')
        assert done.returncode != 0 and "https://" in done.stderr

    def test_a_role_that_is_none(self, tmp_path):
        assert self.check(tmp_path, "envd", "").returncode != 0
