"""The copy of events in a Redis stream, on a real Redis server."""
import json
import signal

import pytest
from conftest import end, make
from redis_server import Redis
from waiting import wait_until


@pytest.fixture
def redis(tmp_path):
    one = Redis(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def plane(redis, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis.url)  # may hold a password: never a flag
    one = make()
    yield one
    end(one)


def in_database(plane):
    with plane.database() as database:
        rows = database.execute("SELECT seq, payload FROM events WHERE seq IS NOT NULL ORDER BY seq").fetchall()
    return [(f"{row['seq']}-0", json.loads(row["payload"])) for row in rows]


def in_redis(redis):
    return [(id, json.loads(payload)) for id, field, payload in redis.entries() if field == "payload"]


def assert_the_same(plane, redis, at_least):
    wait_until(lambda: len(in_database(plane)) >= at_least and in_redis(redis) == in_database(plane), 30)


def test_each_event_once_and_in_order(plane, redis):
    capsules = [plane.create() for _ in range(3)]
    for capsule in capsules:
        assert plane.delete(f"/v1/capsules/{capsule}").status == 204
    assert_the_same(plane, redis, 6)
    assert [payload["event"] for _, payload in in_redis(redis) if payload["resource"]["id"] == capsules[0]] == ["capsule.create", "capsule.destroy"]


def test_redis_away_and_back(plane, redis):
    plane.create()
    assert_the_same(plane, redis, 1)
    redis.stop()
    for _ in range(5):
        plane.create()  # nobody waits for Redis
    redis.start()
    assert_the_same(plane, redis, 6)


def test_a_restart_repeats_nothing(plane, redis):
    for _ in range(3):
        plane.create()
    assert_the_same(plane, redis, 3)
    plane.stop(signal.SIGKILL)
    plane.start()
    plane.create()
    assert_the_same(plane, redis, 4)


def test_what_came_before_the_mirror_is_copied(redis, monkeypatch):
    plane = make()
    try:
        plane.create()
        plane.stop()
        monkeypatch.setenv("REDIS_URL", redis.url)
        plane.start()
        plane.create()
        assert_the_same(plane, redis, 2)
        # Switched off again, nothing waits for it.
        monkeypatch.delenv("REDIS_URL")
        plane.stop()
        plane.start()
        with plane.database() as database:
            wait_until(lambda: database.execute("SELECT COUNT(*) FROM event_groups WHERE name = 'wrenn-redis-mirror-v1'").fetchone()[0] == 0, 10)
    finally:
        end(plane)
