"""Requests that are repeated with the same Idempotency-Key."""
import secrets
import signal
import threading
import time

import pytest
from conftest import end, make
from fake_agent import late
from openapi_document import OPERATIONS, each
from people import sign_up


def ask(plane, path, body, key, **more):
    return plane.post(path, body, headers={"Idempotency-Key": key}, **more)


def count(plane):
    return len(plane.get("/v1/capsules").json)


def test_the_answer_comes_again(shared):
    key, before = secrets.token_hex(8), count(shared)
    first = ask(shared, "/v1/capsules", {"vcpus": 2}, key)
    again = ask(shared, "/v1/capsules", {"vcpus": 2}, key)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body and count(shared) == before + 1
    assert again.headers["Idempotency-Replayed"] == "true" and first.headers["Idempotency-Replayed"] is None


def test_another_request_with_the_key(shared):
    key = secrets.token_hex(8)
    assert ask(shared, "/v1/capsules", {"vcpus": 1}, key).status == 201
    for path, body in (("/v1/capsules", {"vcpus": 2}), ("/v1/snapshots", {"vcpus": 1})):
        answer = ask(shared, path, body, key)
        assert (answer.status, answer.code) == (422, "idempotency_mismatch")


MADE = [one for one in OPERATIONS if any(parameter["name"] == "Idempotency-Key" for parameter in one.parameters)]


@pytest.fixture(scope="module")
def admin():
    plane = make(mails=True)
    yield sign_up(plane)
    end(plane)


@each(MADE)
def test_every_create(admin, operation):
    """Once; not with another body; not while the first request is under way."""
    key = secrets.token_hex(8)
    capsule = admin.post("/v1/admin/capsules" if operation.for_admins else "/v1/capsules", {}).json["id"]
    bodies = {"fork": {"count": 1}, "snapshots": {"sandbox_id": capsule, "name": key}, "snapshot": {"name": key},
              "channels": {"provider": "webhook", "config": {"url": "https://example.com/x"}, "events": ["host.up"], "name": key}}
    path, body = operation.filled({"id": capsule}), bodies.get(operation.path.split("/")[-1], {"name": key})
    if path.endswith("/capsules"):
        body = {}

    def repeat(body):
        return admin.post(path, body, headers={"Idempotency-Key": key})
    first, again = repeat(body), repeat(body)
    assert (first.status, first.body) == (201, again.body) and again.headers["Idempotency-Replayed"] == "true"
    answer = repeat({**body, "more": 1})
    assert (answer.status, answer.code) == (422, "idempotency_mismatch")
    with admin.plane.database() as database:  # as before its answer was kept
        database.execute("UPDATE idempotency_keys SET answer_status = NULL, sandbox_id = NULL WHERE key = ?", (key,))
    answer = repeat(body)
    assert (answer.status, answer.code) == (409, "idempotency_in_progress")


def test_the_key_is_the_callers_own(shared):
    key, other = secrets.token_hex(8), shared.add_key()
    mine = ask(shared, "/v1/capsules", {}, key).json["id"]
    theirs = shared.request("POST", "/v1/capsules", {}, headers={"Idempotency-Key": key}, key=other)
    assert theirs.status == 201 and theirs.json["id"] != mine


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_what_is_no_key(shared, key):
    answer = ask(shared, "/v1/capsules", {}, key)
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_what_failed_may_be_tried_again(shared):
    key = secrets.token_hex(8)
    for _ in range(2):
        assert ask(shared, "/v1/capsules", {"template": "no-such"}, key).status == 404
    # The same key, and the request is right at last.
    assert ask(shared, "/v1/capsules", {}, key).status == 201


def test_at_the_same_time(shared):
    key, before, answers = secrets.token_hex(8), count(shared), []
    threads = [threading.Thread(target=lambda: answers.append(ask(shared, "/v1/capsules", {}, key))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(shared) == before + 1
    assert all(one.status == 201 or (one.status, one.code) == (409, "idempotency_in_progress") for one in answers)
    assert len({one.json["id"] for one in answers if one.status == 201}) == 1


def test_a_process_that_died_has_made_one(plane):
    """Killed after the capsule was made and before the answer was kept: the repetition finds the capsule."""
    key = secrets.token_hex(8)
    plane.agent.on["CreateSandbox"] = late(2, lambda agent, request: agent.obey("CreateSandbox", request))
    thread = threading.Thread(target=lambda: ignore_errors(lambda: ask(plane, "/v1/capsules", {}, key)))
    thread.start()
    deadline = time.monotonic() + 10
    while count(plane) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    plane.process.send_signal(signal.SIGKILL)
    plane.process.wait()
    thread.join()
    plane.log.close()
    plane.start()
    again = ask(plane, "/v1/capsules", {}, key)
    assert again.status == 201
    with plane.database() as database:
        assert database.execute("SELECT COUNT(*) FROM sandboxes").fetchone()[0] == 1
    assert ask(plane, "/v1/capsules", {}, key).json["id"] == again.json["id"]


def ignore_errors(work):
    try:
        work()
    except OSError:
        pass


def test_what_is_kept_is_sealed(shared):
    """An answer that is kept may hold a key."""
    key = secrets.token_hex(8)
    answer = ask(shared, "/v1/capsules", {}, key)
    with shared.database() as database:
        kept = database.execute("SELECT answer FROM idempotency_keys WHERE key = ?", (key,)).fetchone()[0]
    assert kept and answer.json["id"] not in kept


def test_old_ones_are_thrown_away(plane):
    key = secrets.token_hex(8)
    first = ask(plane, "/v1/capsules", {}, key).json["id"]
    with plane.database() as database:
        database.execute("UPDATE idempotency_keys SET created_at = created_at - 25 * 3600000000")
    plane.stop()
    plane.start()  # housekeeping looks at once
    deadline = time.monotonic() + 10
    while True:
        with plane.database() as database:
            if database.execute("SELECT COUNT(*) FROM idempotency_keys").fetchone()[0] == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ask(plane, "/v1/capsules", {}, key).json["id"] != first
