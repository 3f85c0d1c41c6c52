"""Requests whose senders hold their bodies back: what they may do is asked again when the body is there."""
import json
import socket
import time

import pytest
from conftest import end, make
from people import PASSWORD, log_in, sign_up


@pytest.fixture(scope="module")
def society():
    plane = make("--auth-rate-limits", "false", mails=True)
    plane.admin = sign_up(plane, "admin@example.com", "Admin")
    yield plane
    end(plane)


class HeldBack:
    """A request of which all but the last byte was sent."""

    def __init__(self, plane, method, path, body, fields):
        body = json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in fields.items()]
        self.last = body[-1:]
        self.connection = socket.create_connection(("127.0.0.1", plane.port), timeout=20)
        self.connection.sendall("\r\n".join(head + ["", ""]).encode() + body[:-1])
        time.sleep(0.1)  # until the sender has been asked who he is

    def end(self):
        """Status and body of the answer."""
        with self.connection:
            self.connection.sendall(self.last)
            answer = b""
            while piece := self.connection.recv(65536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body or b"null")


def as_(person, **more):
    return {"Authorization": f"Bearer {person.token}", **more}


@pytest.mark.parametrize("more", [{}, {"Idempotency-Key": "held-back"}])
def test_it_is_carried_out(society, more):
    person = sign_up(society)
    status, made = HeldBack(society, "POST", "/v1/api-keys", {"name": "k"}, as_(person, **more)).end()
    assert status == 201 and society.get("/v1/capsules", key=made["key"]).status == 200


@pytest.mark.parametrize("more", [{}, {"Idempotency-Key": "held-back"}])
def test_a_session_that_has_ended_makes_no_key(society, more):
    person = sign_up(society)
    request = HeldBack(society, "POST", "/v1/api-keys", {"name": "k"}, as_(person, **more))
    assert person.post("/v1/auth/logout").status == 204
    status, answer = request.end()
    assert (status, answer["error"]["code"]) == (401, "unauthorized")
    assert log_in(society, person.email).get("/v1/api-keys").json == []


def test_a_key_that_was_revoked_makes_no_capsule(society):
    person = sign_up(society)
    key = person.new_key()
    request = HeldBack(society, "POST", "/v1/capsules", {}, {"X-API-Key": key["key"]})
    assert person.delete(f"/v1/api-keys/{key['id']}").status == 204
    assert request.end()[0] == 401
    assert person.get("/v1/capsules").json == []


def test_who_was_an_admin_does_not_become_one_again(society):
    person = sign_up(society)
    path = f"/v1/admin/users/{person.id}/admin"
    assert society.admin.put(path, {"admin": True}).status == 204
    request = HeldBack(society, "PUT", path, {"admin": True}, as_(person))
    assert society.admin.put(path, {"admin": False}).status == 204
    assert request.end()[0] == 403
    assert person.get("/v1/me").json["is_admin"] is False


def test_who_was_removed_adds_nobody(society):
    owner, member, friend = (sign_up(society) for _ in range(3))
    members = f"/v1/teams/{owner.team}/members"
    assert owner.post(members, {"email": member.email}).status == 201
    assert owner.patch(f"{members}/{member.id}", {"role": "admin"}).status == 204
    member.switch(owner.team)
    request = HeldBack(society, "POST", members, {"email": friend.email}, as_(member))
    assert owner.delete(f"{members}/{member.id}").status == 204
    assert request.end()[0] in (401, 403)
    assert [one["user_id"] for one in owner.get(members).json] == [owner.id]


def test_a_stranger_signs_in(society):
    person = sign_up(society)
    body = {"email": person.email, "password": PASSWORD}
    status, answer = HeldBack(society, "POST", "/v1/auth/login", body, {}).end()
    assert status == 200 and answer["user_id"] == person.id


@pytest.mark.parametrize("path", ["/v1/auth/signup", "/v1/auth/login", "/v1/auth/activate", "/v1/me/password/reset",
                                  "/v1/me/password/reset/confirm"])
def test_strangers_send_little(society, path):
    body = {"email": "nobody@example.com", "password": PASSWORD, "name": "N", "token": "0" * 32, "new_password": PASSWORD}
    assert society.post(path, body, key=None).status != 413
    answer = society.post(path, {**body, "more": "x" * 16384}, key=None)
    assert (answer.status, answer.code) == (413, "too_large")
