"""What needs no key, and what stands around every request."""
import re


def test_health(shared):
    answer = shared.get("/health", key=None)
    assert answer.json["status"] == "ok"
    assert answer.json["version"]
    assert shared.request("HEAD", "/health").body == b""


def test_openapi(shared):
    answer = shared.get("/openapi.yaml", key=None)
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.body.startswith(b"openapi: 3.1.0\n")


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


def test_the_log_holds_no_key(plane):
    plane.create()
    plane.get("/v1/capsules")
    plane.get("/v1/capsules", key="wrn_" + "1" * 32)
    assert '"path":"/v1/capsules"' in plane.log_text()
    assert "wrn_" not in plane.log_text()
