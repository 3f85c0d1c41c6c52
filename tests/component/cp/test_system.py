"""What needs no key, and what stands around every request."""
import html
import html.parser
import http.client
import os
import re
import threading

import yaml
from conftest import end, make
from control_plane import REPOSITORY
from fake_agent import Fail
from waiting import wait_until
from webhook_receiver import WebhookReceiver


def test_health(shared):
    answer = shared.get("/health", key=None)
    assert answer.json["status"] == "ok"
    assert answer.json["version"]
    assert shared.request("HEAD", "/health").body == b""


def test_openapi(shared):
    answer = shared.get("/openapi.yaml", key=None)
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.body.startswith(b"openapi: 3.1.0\n")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.text = set(), [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            assert name not in ("src", "srcset", "action", "style", "background", "data") and not name.startswith("on"), (tag, name)
            if name == "href":
                self.links.add(value)
            if name == "id":
                self.ids.append(value)

    def handle_data(self, data):
        self.text += data


def test_docs(shared):
    answer = shared.get("/docs", key=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "style-src 'unsafe-inline'" in policy
    text = answer.body.decode()
    page = Page(text)
    document = yaml.safe_load(shared.get("/openapi.yaml", key=None).body)
    for path, item in document["paths"].items():
        assert text.count(f"<code>{html.escape(path)}</code></h3>") == len(item.keys() & {"get", "post", "put", "patch", "delete"}), path
        for operation in (item[method] for method in item if method != "parameters"):
            assert operation["operationId"] in page.ids
    for name in document["components"]["schemas"]:
        assert f"schema-{name}" in page.ids
    # Nothing is loaded, and no link leads to nowhere.
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg", "video", "audio"}
    assert not re.search(r"url\(|@import", text)
    assert len(page.ids) == len(set(page.ids))
    assert page.links - {"/openapi.yaml"} <= {f"#{one}" for one in page.ids}


def test_request_ids(shared):
    one, two = (shared.get("/health").headers["X-Request-Id"] for _ in range(2))
    assert one != two and re.fullmatch("[0-9a-f]{16}", one)
    assert shared.get("/health", headers={"X-Request-Id": "mine-1.2_3"}).headers["X-Request-Id"] == "mine-1.2_3"
    for bad in ("a b", "x" * 65, "é".encode().decode("latin-1"), "a;b"):
        assert shared.get("/health", headers={"X-Request-Id": bad}).headers["X-Request-Id"] != bad
    assert shared.get("/nothing", headers={"X-Request-Id": "q"}).headers["X-Request-Id"] == "q"


def test_metrics(plane):
    capsule = plane.create()
    plane.get(f"/v1/capsules/{capsule}")
    plane.get("/v1/nothing")
    plane.request("BREW", "/v1/capsules")
    answer = plane.get("/metrics", key=None)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    assert 'wrenn_cp_http_requests_total{route="POST /v1/capsules",status="201"} 1' in text
    assert 'wrenn_cp_http_requests_total{route="GET /v1/capsules/{id}",status="200"} 1' in text
    assert 'wrenn_cp_http_requests_total{route="none",status="404"} 1' in text
    assert 'wrenn_cp_http_requests_total{route="none",status="405"} 1' in text
    assert 'wrenn_cp_sandboxes{status="running"} 1' in text
    assert 'wrenn_cp_sandboxes{status="paused"} 0' in text
    assert "wrenn_cp_http_request_duration_seconds_bucket" in text
    assert capsule not in text and "BREW" not in text and "nothing" not in text


def series(plane):
    """name → {labels: value}; of a histogram its count."""
    found = {}
    for line in plane.get("/metrics", key=None).body.decode().splitlines():
        if line.startswith("#") or "_bucket{" in line:
            continue
        name, labels, value = re.fullmatch(r"([a-z_]+)(\{.*\})? (\S+)", line).groups()
        found.setdefault(re.sub("_seconds_count$", "_seconds", name), {})[labels or ""] = float(value)
    return {name: values for name, values in found.items() if not name.endswith("_sum")}


def documented_figures():
    with open(os.path.join(REPOSITORY, "src/cp/README.md"), encoding="utf-8") as file:
        return {name: set(re.findall("[a-z]+", labels)) for name, labels in re.findall(r"^\| `(wrenn_cp_[a-z_]+)` \| ([a-z, ]*)\|", file.read(), re.M)}


def test_every_figure_is_told_and_moves():
    receiver = WebhookReceiver()
    plane = make("--channels-allow-private", "true", "--channels-first-retry", "10ms", "--channels-second-retry", "10ms",
                 "--gateway-domains", "caps.test")
    try:
        documented = documented_figures()
        assert len(documented) >= 15
        before = series(plane)
        # Two channels: one answers, one gives up.
        receiver.answer = lambda received: 500 if received.path.endswith("bad") else 200
        for name in ("good", "bad"):
            assert plane.post("/v1/channels", {"name": name, "provider": "webhook", "config": {"url": f"{receiver.url}/{name}"},
                                               "events": ["capsule.create", "capsule.pause", "capsule.destroy"]}).status == 201
        capsule = plane.create()
        assert plane.get("/", headers={"Host": f"8080-{capsule}.caps.test"}).status != 404
        for verb in ("pause", "resume"):
            assert plane.post(f"/v1/capsules/{capsule}/{verb}").status == 200
        plane.post("/v1/auth/login", {"email": "a@example.com", "password": "not his"}, key=None)
        assert plane.delete(f"/v1/capsules/{plane.create()}").status == 204
        listener = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=10)
        listener.request("GET", "/v1/events/stream", headers={"X-API-Key": plane.key})
        assert listener.getresponse().status == 200
        # Of each channel: create, pause, create, destroy. Neither waits for the other.
        wait_until(lambda: series(plane)["wrenn_cp_dead_letters"][""] == 4
                   and series(plane)["wrenn_cp_delivery_attempts_total"].get('{result="delivered"}') == 4)
        now = series(plane)
        assert set(now) == set(documented)
        for name, labels in documented.items():
            for one in now[name]:
                assert set(re.findall(r"([a-z]+)=", one)) == labels, (name, one)
        still = {"wrenn_cp_operations", "wrenn_cp_queue_length", "wrenn_cp_build_info", "wrenn_cp_hosts",
                 "wrenn_cp_database_failures_total"}  # below
        assert [name for name in documented if name not in still and before.get(name) == now[name]] == []
        assert now["wrenn_cp_build_info"].popitem()[1] == 1
        assert now["wrenn_cp_hosts"]['{status="online"}'] == 1
        assert now["wrenn_cp_event_listeners"][""] == 1
        assert now["wrenn_cp_sandboxes"]['{status="running"}'] == 1
        assert now["wrenn_cp_http_requests_total"]['{route="POST /v1/auth/login",status="401"}'] == 1
        for operation, stages in {"create": ("admit", "host", "settle"), "pause": ("host", "settle"), "resume": ("host", "settle"),
                                  "destroy": ("host", "settle")}.items():
            assert now["wrenn_cp_operations_total"][f'{{operation="{operation}",result="done"}}'] >= 1
            for stage in stages:
                assert now["wrenn_cp_operation_stage_duration_seconds"][f'{{operation="{operation}",stage="{stage}"}}'] >= 1
        assert now["wrenn_cp_delivery_attempts_total"]['{result="delivered"}'] == 4
        assert now["wrenn_cp_delivery_attempts_total"]['{result="dead"}'] == 4

        # What waits. A receiver that takes its time keeps a delivery due; the others of its resource are behind it.
        go_on = threading.Event()
        receiver.answer = lambda received: go_on.wait(20) and 200
        plane.post(f"/v1/capsules/{capsule}/pause")
        wait_until(lambda: series(plane)["wrenn_cp_queue_length"]['{queue="deliveries"}'] == 2)
        assert series(plane)["wrenn_cp_queue_length"]['{queue="due"}'] == 2
        go_on.set()
        wait_until(lambda: set(series(plane)["wrenn_cp_queue_length"].values()) == {0.0})
        listener.close()

        # What is under way.
        go_on.clear()
        plane.agent.on["CreateSandbox"] = lambda agent, request: go_on.wait(20) and agent.create(request)
        creating = threading.Thread(target=plane.create)
        creating.start()
        wait_until(lambda: series(plane)["wrenn_cp_operations"][""] == 1)
        go_on.set()
        creating.join()
        assert series(plane)["wrenn_cp_operations"][""] == 0
    finally:
        receiver.stop()
        end(plane)


def stages_of(figures, operation):
    found = {re.search('stage="([a-z]+)"', labels)[1]: count
             for labels, count in figures.get("wrenn_cp_operation_stage_duration_seconds", {}).items()
             if f'operation="{operation}"' in labels}
    ended = {result: figures.get("wrenn_cp_operations_total", {}).get(f'{{operation="{operation}",result="{result}"}}', 0)
             for result in ("done", "failed")}
    return found, ended


def refuse(*_):
    raise Fail("internal", "because")


def test_stages_of_operations(plane):
    """Each operation once well and once refused by its host: what its parts tell after each."""
    capsule = plane.create()
    checkpoints = f"/v1/capsules/{capsule}/checkpoints"
    snapshot = {"sandbox_id": capsule, "name": "mine"}
    cases = [
        # name, method of the agent, request, its answer, the stages that it has; after a failure there is nothing to settle.
        ("pause", "PauseSandbox", lambda: plane.post(f"/v1/capsules/{capsule}/pause"), 200, ["host", "settle"]),
        ("resume", "ResumeSandbox", lambda: plane.post(f"/v1/capsules/{capsule}/resume"), 200, ["host", "settle"]),
        ("fork", "ForkSandbox", lambda: plane.post(f"/v1/capsules/{capsule}/fork", {"count": 2}), 201, ["admit", "host", "settle"]),
        ("checkpoint", "CreateCheckpoint", lambda: plane.post(checkpoints, {"name": "one"}), 201, ["host"]),
        ("rollback", "RollbackSandbox", lambda: plane.post(f"/v1/capsules/{capsule}/rollback", {"checkpoint": "one"}), 200, ["host", "settle"]),
        ("delete checkpoint", "DeleteCheckpoint", lambda: plane.delete(f"{checkpoints}/one"), 204, ["host"]),
        ("snapshot", "CreateSnapshot", lambda: plane.post("/v1/snapshots", snapshot), 201, ["admit", "host", "settle"]),
        ("delete template", "DeleteTemplate", lambda: plane.delete("/v1/snapshots/mine"), 204, ["host", "settle"]),
        ("create", "CreateSandbox", lambda: plane.post("/v1/capsules", {}), 201, ["admit", "host", "settle"]),
        ("destroy", "DestroySandbox", lambda: plane.delete(f"/v1/capsules/{capsule}"), 204, ["host", "settle"]),
    ]
    for name, method, ask, status, stages in cases:
        before, _ = stages_of(series(plane), name)
        plane.agent.on[method] = refuse
        assert ask().status == 502, name
        found, ended = stages_of(series(plane), name)
        del plane.agent.on[method]
        refused = [one for one in stages if one != "settle"]
        assert {one: found.get(one, 0) - before.get(one, 0) for one in [*refused, "settle"]} == {**dict.fromkeys(refused, 1), "settle": 0}, name
        assert ended["failed"] == 1, name

        assert ask().status == status, name
        after, ended = stages_of(series(plane), name)
        assert set(after) == set(stages), name
        assert {one: after[one] - found.get(one, 0) for one in stages} == dict.fromkeys(stages, 1), name
        assert ended["failed"] == 1 and ended["done"] >= 1, name


def test_what_the_database_does(plane):
    capsule = plane.create()

    def count(figure, kind):
        return series(plane)[f"wrenn_cp_database_{figure}"][f'{{kind="{kind}"}}']

    def failures():
        return [count("failures_total", kind) for kind in ("read", "write")]
    reads = count("duration_seconds", "read")
    for _ in range(20):
        assert plane.get(f"/v1/capsules/{capsule}").status == 200
    assert count("duration_seconds", "read") >= reads + 20
    channel = {"name": "same", "provider": "webhook", "config": {"url": "https://example.com"}, "events": ["capsule.create"]}
    writes = count("duration_seconds", "write")
    assert plane.post("/v1/channels", channel).status == 201
    assert count("duration_seconds", "write") >= writes + 1
    # A name that is taken is no failure of the database.
    assert plane.post("/v1/channels", channel).status == 409
    assert failures() == [0, 0]

    # A table that only these requests use is not there for a while.
    with plane.database() as database:
        database.execute("ALTER TABLE audit_logs RENAME TO elsewhere")
    reads, writes = (count("duration_seconds", kind) for kind in ("read", "write"))
    assert plane.post("/v1/channels", {**channel, "name": "other"}).status == 500
    assert failures() == [0, 1]
    assert count("duration_seconds", "write") >= writes + 1  # those that fail take their time, too
    with plane.database() as database:
        database.execute("ALTER TABLE elsewhere RENAME TO audit_logs")
        database.execute("ALTER TABLE sandboxes RENAME TO elsewhere")
    assert plane.get(f"/v1/capsules/{capsule}").status == 500
    with plane.database() as database:
        database.execute("ALTER TABLE elsewhere RENAME TO sandboxes")
    assert failures()[0] >= 1
    assert plane.get(f"/v1/capsules/{capsule}").status == 200


def test_the_log_holds_no_key(plane):
    plane.create()
    plane.get("/v1/capsules")
    plane.get("/v1/capsules", key="wrn_" + "1" * 32)
    assert '"path":"/v1/capsules"' in plane.log_text()
    assert "wrn_" not in plane.log_text()
