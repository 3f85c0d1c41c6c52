"""What teams used and have, and the figures of capsules, also while no control plane ran."""
import datetime
import signal
import time

import pytest
from conftest import end, make
from fake_agent import FakeAgent, held, late
from own_database import SERVER
from waiting import in_background, wait_until

SIZE = {"vcpus": 2, "memory_mb": 256}
RUNS = 2**63 - 1


def minutes(plane, query="", key=None):
    """All that the team has used: minutes times vCPUs, minutes times MiB."""
    answer = plane.get("/v1/capsules/usage" + query, key=key or plane.key)
    assert answer.status == 200, answer.body
    points = answer.json["points"]
    return sum(one["cpu_minutes"] for one in points), sum(one["ram_mb_minutes"] for one in points)


def seconds(plane):
    """For how long one capsule of SIZE has run."""
    cpu, memory = minutes(plane)
    assert memory == pytest.approx(cpu * 128, abs=0.1)
    return cpu * 30


def runs(plane, capsule):
    with plane.database() as database:
        return database.execute("SELECT started_at, ended_at FROM usage_runs WHERE sandbox_id = ? ORDER BY started_at",
                                (capsule,)).fetchall()


def set_started(plane, capsule, seconds_ago):
    with plane.database() as database:
        database.execute("UPDATE usage_runs SET started_at = ? WHERE sandbox_id = ?",
                         (int((time.time() - seconds_ago) * 1e6), capsule))


class Watch:
    """Bounds of a time: it began after `Watch()` was made and before `began()`."""

    def __init__(self):
        self.before = time.time()

    def began(self):
        self.after = time.time()

    def check(self, told, until):
        """`until`: the times between which it ended, or was asked for."""
        assert until[0] - self.after - 0.05 <= told <= until[1] - self.before + 0.05


def test_a_capsule_is_charged_while_it_runs(plane):
    assert seconds(plane) == 0
    watch = Watch()
    capsule = plane.create(**SIZE)
    watch.began()
    path = f"/v1/capsules/{capsule}"
    time.sleep(0.5)
    before = time.time()
    assert plane.post(path + "/pause").status == 200
    first = seconds(plane)
    watch.check(first, (before, time.time()))
    time.sleep(0.5)
    assert seconds(plane) == first

    watch = Watch()
    assert plane.post(path + "/resume").status == 200
    watch.began()
    time.sleep(0.3)
    before = time.time()
    told = seconds(plane)
    watch.check(told - first, (before, time.time()))
    before = time.time()
    assert plane.delete(path).status == 204
    last = seconds(plane)
    watch.check(last - first, (before, time.time()))
    assert told <= last
    time.sleep(0.3)
    assert seconds(plane) == last
    assert len(runs(plane, capsule)) == 2
    # It is the team's own affair.
    assert minutes(plane, key=plane.add_key()) == (0, 0)


def test_what_never_ran_and_what_failed_cost_nothing_more(plane):
    from fake_agent import Fail

    def refuse(agent, request):
        raise Fail("internal", "no", 500)
    plane.agent.on["CreateSandbox"] = refuse
    assert plane.post("/v1/capsules", SIZE).status >= 500
    del plane.agent.on["CreateSandbox"]
    assert seconds(plane) == 0
    capsule = plane.create(**SIZE)
    plane.agent.on["DestroySandbox"], go_on = held(FakeAgent.destroy)
    destroyed = in_background(lambda: plane.delete(f"/v1/capsules/{capsule}"))
    wait_until(lambda: capsule in [request["sandboxId"] for request in plane.agent.called("DestroySandbox")])
    asked = time.time()
    go_on.set()
    assert destroyed().status == 204
    ended = runs(plane, capsule)[0]["ended_at"]
    assert ended / 1e6 <= asked  # for that is enough


def test_time_counts_once_when_the_control_plane_is_killed(plane):
    watch = Watch()
    capsule = plane.create(**SIZE)
    watch.began()
    for _ in range(2):
        time.sleep(0.5)
        plane.stop(signal.SIGKILL)
        time.sleep(0.5)
        plane.start()
        assert plane.row(capsule)["status"] == "running"
        before = time.time()
        watch.check(seconds(plane), (before, time.time()))
    assert [one["ended_at"] for one in runs(plane, capsule)] == [RUNS]
    before = time.time()
    plane.delete(f"/v1/capsules/{capsule}")
    watch.check(seconds(plane), (before, time.time()))


def test_what_ended_while_nobody_watched_is_not_charged_until_somebody_looks(plane):
    watch = Watch()
    gone, idle = plane.create(**SIZE), plane.create(**SIZE, timeout_sec=1)
    watch.began()
    time.sleep(0.5)
    alive = time.time()
    plane.stop(signal.SIGKILL)
    killed = time.time()
    del plane.agent.sandboxes[gone]
    active = time.time()
    plane.agent.sandboxes[idle].update(status="paused", reason="ttl_expired", lastActiveAtUs=int(active * 1e6))
    time.sleep(2.5)
    plane.start()
    plane.wait_for_row(gone, "stopped")
    plane.wait_for_row(idle, "paused")
    [run] = runs(plane, gone)
    assert watch.before <= run["ended_at"] / 1e6 <= killed
    [run] = runs(plane, idle)
    assert run["ended_at"] == int(active * 1e6) + 1_000_000
    assert alive - watch.after <= seconds(plane) <= 2 * (killed - watch.before) + 2


def test_a_host_that_is_away(hasty):
    plane = hasty
    capsule = plane.create(**SIZE)
    away = []

    def be_away(agent, request):
        away.append(time.time())
        raise OSError()
    plane.agent.on["ListSandboxes"] = be_away
    plane.wait_for_row(capsule, "missing")
    [run] = runs(plane, capsule)
    assert run["ended_at"] / 1e6 <= away[0]  # it may have run on, but who can tell
    del plane.agent.on["ListSandboxes"]
    plane.wait_for_row(capsule, "running")
    assert [one["ended_at"] == RUNS for one in runs(plane, capsule)] == [False, True]


def test_days(plane):
    capsule = plane.create(**SIZE)
    set_started(plane, capsule, 50 * 3600)
    answer = plane.get("/v1/capsules/usage").json
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert answer["to"] == str(today) and answer["from"] == str(today - datetime.timedelta(days=29))
    dates = [one["date"] for one in answer["points"]]
    assert dates == sorted(dates) and len(dates) in (3, 4) and dates[-1] == str(today)
    assert answer["points"][1] == {"date": dates[1], "cpu_minutes": 2880, "ram_mb_minutes": 1440 * 256}
    assert minutes(plane)[0] == pytest.approx(2 * 50 * 60, abs=2)
    query = f"?from={dates[1]}&to={dates[1]}"
    assert minutes(plane, query) == (2880, 1440 * 256)
    assert minutes(plane, "?from=2020-01-01&to=2020-03-31") == (0, 0)
    # Tomorrow has nothing yet.
    tomorrow = today + datetime.timedelta(days=1)
    assert plane.get(f"/v1/capsules/usage?from={tomorrow}&to={tomorrow}").json["points"] == []


@pytest.mark.parametrize("query", [
    "from=yesterday", "to=2026-02-30", "from=2026-5-1", "from=", "from=2026-05-02&to=2026-05-01",
    "from=2026-01-01&to=2026-04-03", "from=2026-01-01T00:00:00Z", "to=%00", "from=99999-01-01",
])
def test_bad_days(shared, query):
    answer = shared.get("/v1/capsules/usage?" + query)
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_92_days_are_allowed(shared):
    assert shared.get("/v1/capsules/usage?from=2026-01-01&to=2026-04-02").status == 200


class TestRollUp:
    def sums(self, plane):
        with plane.database() as database:
            return [tuple(one) for one in database.execute("SELECT day, vcpu_ms, mib_ms FROM daily_usage ORDER BY day").fetchall()]

    def check(self, plane):
        told = plane.get("/v1/capsules/usage").json["points"]
        # A day that was over less than ten minutes ago is not summed up yet.
        wait_until(lambda: len(self.sums(plane)) >= len(told) - 2)
        day = 86_400_000
        assert [one[1:] for one in self.sums(plane)][1:4] == [(2 * day, 256 * day)] * 3
        after = plane.get("/v1/capsules/usage").json["points"]
        assert after[:-1] == told[:-1]
        assert after[-1]["cpu_minutes"] >= told[-1]["cpu_minutes"]

    def test_after_days_without_a_control_plane(self):
        plane = make("--worker-host-lost-after", "1s")
        try:
            capsule = plane.create(**SIZE)
            plane.stop(signal.SIGKILL)
            set_started(plane, capsule, 5 * 86400)
            plane.start()
            self.check(plane)
        finally:
            end(plane)

    @pytest.mark.skipif(not SERVER, reason="several processes share PostgreSQL only")
    def test_two_control_planes_count_once(self):
        plane = make("--worker-host-lost-after", "1s")
        other = plane.beside()
        other.agent = FakeAgent()  # to end
        try:
            other.key = plane.key
            watch = Watch()
            capsule = plane.create(**SIZE)
            watch.began()
            assert other.post(f"/v1/capsules/{capsule}/pause").status == 200
            assert plane.post(f"/v1/capsules/{capsule}/resume").status == 200
            time.sleep(0.5)
            told = [seconds(plane), seconds(other)]
            assert told == sorted(told)
            assert 0.45 <= told[1] <= time.time() - watch.before
            assert len(runs(plane, capsule)) == 2
            plane.stop(signal.SIGKILL)  # whoever had the leases
            assert told[1] <= seconds(other) <= time.time() - watch.before
            other.stop()
            with plane.database() as database:
                database.execute("DELETE FROM usage_runs WHERE ended_at <> ?", (RUNS,))
            begun = time.time()
            set_started(plane, capsule, 5 * 86400)
            plane.start()
            other.start()  # one of the two sums up, after a second
            self.check(plane)
            for one in (plane, other):
                assert 5 * 86400 - 0.1 <= seconds(one) <= 5 * 86400 + time.time() - begun + 0.1
        finally:
            end(other)
            end(plane)


# --- what a team has


def test_stats(plane):
    answer = plane.get("/v1/capsules/stats").json
    assert answer["range"] == "1h"
    assert answer["current"] == {"running_count": 0, "vcpus_reserved": 0, "memory_mb_reserved": 0}
    ids = [plane.create(**SIZE) for _ in range(2)]
    plane.post(f"/v1/capsules/{ids[0]}/pause")  # before the third: a sample between would be another peak
    plane.create(vcpus=4, memory_mb=301)
    now = {"running_count": 2, "vcpus_reserved": 6, "memory_mb_reserved": 256 + 301 + 128}
    assert plane.get("/v1/capsules/stats").json["current"] == now
    peaks = {"running_count": 2, "vcpus": 6, "memory_mb": 256 + 301 + 128}
    for name in ("5m", "1h", "6h", "24h", "30d"):
        series = {}

        def sampled():
            series.update(plane.get(f"/v1/capsules/stats?range={name}").json["series"])
            return series["running"][-1:] == [2]
        wait_until(sampled, 15)
        assert (series["vcpus"][-1], series["memory_mb"][-1]) == (6, 685)
        assert len({len(values) for values in series.values()}) == 1
        assert all(label.endswith("Z") for label in series["labels"]) and series["labels"] == sorted(series["labels"])
    for one in ids:
        plane.delete(f"/v1/capsules/{one}")
    answer = plane.get("/v1/capsules/stats").json
    assert answer["current"] == {"running_count": 1, "vcpus_reserved": 4, "memory_mb_reserved": 301}
    assert answer["peaks"] == peaks
    other = plane.get("/v1/capsules/stats?range=30d", key=plane.add_key()).json
    assert other["series"]["running"] == [] and other["peaks"]["vcpus"] == 0


@pytest.mark.parametrize("query", ["range=2h", "range=", "range=1H", "range=%ff", "range=30"])
def test_bad_ranges(shared, query):
    answer = shared.get("/v1/capsules/stats?" + query)
    assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["stats", "usage"])
def test_figures_need_a_key(shared, path):
    assert shared.get("/v1/capsules/" + path, key=None).status == 401
    assert shared.post("/v1/capsules/" + path, {}).status == 405


# --- what is kept of capsules


def point(seconds_ago, cpu=12.5):
    return {"timestampUnix": int(time.time()) - seconds_ago, "cpuPct": cpu, "memBytes": 1024, "diskBytes": 4096}


def tiers(plane, capsule):
    with plane.database() as database:
        rows = database.execute("SELECT tier FROM sandbox_metrics WHERE sandbox_id = ? ORDER BY tier", (capsule,)).fetchall()
    return [one["tier"] for one in rows]


def told_points(plane, capsule, name="10m"):
    answer = plane.get(f"/v1/capsules/{capsule}/metrics?range={name}")
    assert answer.status == 200, answer.body
    return [one["cpu_pct"] for one in answer.json["points"]]


def by_range(agent, request):
    agent.info(request["sandboxId"])
    return {"points": {"10m": [point(400, 1), point(5, 2)], "2h": [point(3000, 3), point(5, 4)]}.get(
        request["range"], [point(40000, 5), point(5, 6)])}


def test_metrics_outlive_the_host_and_the_capsule(plane):
    agent = plane.agent
    agent.on["GetSandboxMetrics"] = by_range
    capsule = plane.create()
    path = f"/v1/capsules/{capsule}"
    assert plane.post(path + "/pause").status == 200
    wait_until(lambda: tiers(plane, capsule) == ["10m", "24h", "2h"])
    # The host started anew: it knows the capsule, but not how it fared.
    agent.on["GetSandboxMetrics"] = lambda *_: {"points": []}
    assert told_points(plane, capsule) == [1, 2]
    assert told_points(plane, capsule, "5m") == [2]
    assert told_points(plane, capsule, "1h") == [3, 4]
    assert told_points(plane, capsule, "24h") == [5, 6]

    def away(agent, request):
        raise OSError()
    agent.on["GetSandboxMetrics"] = away
    assert told_points(plane, capsule) == [1, 2]
    assert plane.post(path + "/resume").status == 200
    assert plane.get(path + "/metrics").status == 503  # of one that runs, the host alone knows
    # The end: what the host has now joins what was kept.
    agent.on["GetSandboxMetrics"] = lambda *_: {"points": [point(3, 7)]}
    assert plane.delete(path).status == 204
    wait_until(lambda: tiers(plane, capsule) == ["24h"])
    assert told_points(plane, capsule, "24h") == [5, 6, 7]
    assert told_points(plane, capsule) == [6, 7]
    assert plane.get(path + "/metrics", key=plane.add_key()).status == 404


def test_a_pause_by_the_host_keeps_metrics_too(plane):
    plane.agent.on["GetSandboxMetrics"] = by_range
    capsule = plane.create()
    plane.agent.sandboxes[capsule].update(status="paused", reason="ttl_expired")
    plane.wait_for_row(capsule, "paused")
    wait_until(lambda: len(tiers(plane, capsule)) == 3)


def test_metrics_hold_nobody_up(plane):
    plane.agent.on["GetSandboxMetrics"] = late(4, FakeAgent.info)
    capsule = plane.create()
    path = f"/v1/capsules/{capsule}"
    for work in (lambda: plane.post(path + "/pause"), lambda: plane.delete(path)):
        begun = time.monotonic()
        assert work().status in (200, 204)
        assert time.monotonic() - begun < 2  # who waits for them takes as long at least (limits::kMetricsKeeping)
    wait_until(lambda: plane.log_text().count("the metrics of a capsule were not kept") == 2)
    answer = plane.get(path + "/metrics")
    assert (answer.status, answer.code) == (404, "not_found")
