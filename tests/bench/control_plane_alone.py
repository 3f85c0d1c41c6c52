"""How fast a control plane is by itself: a real one before an agent that only says yes. Below tests/postgres.sh with PostgreSQL,
otherwise with SQLite. Prints the lines of `tests/bench/run.sh api` that need no virtual machine."""

import http.client
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [os.path.join(ROOT, "component", "cp"), os.path.join(ROOT, "bench")]

from control_plane import ControlPlane  # noqa: E402
from fake_agent import FakeAgent  # noqa: E402
from figures import Report  # noqa: E402
from own_database import SERVER  # noqa: E402
from people import sign_up  # noqa: E402
from webhook_receiver import WebhookReceiver  # noqa: E402

ENGINE = "postgres" if SERVER else "sqlite"
LISTENERS = 1000


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) / 1024


def wrk(plane, path, connections=64, seconds=8):
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"X-API-Key: {plane.key}",
                           f"http://127.0.0.1:{plane.port}{path}"], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in done and "Socket errors" not in done, done
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]


def get_one(plane, report):
    capsule = plane.create()
    rate, p99 = wrk(plane, f"/v1/capsules/{capsule}")
    report.line(f"api_get_{ENGINE}", "1/s", [rate], p99_ms=p99, connections=64)


class Listeners:
    """Many open streams of events, read by one loop."""

    def __init__(self, plane, count):
        self.selector, self.open = selectors.DefaultSelector(), []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", plane.port))
            one.sendall(f"GET /v1/events/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: {plane.key}\r\n\r\n".encode())
            self.open.append(one)
        for one in self.open:
            text = b""
            while b"retry:" not in text:
                text += one.recv(4096)
            one.setblocking(False)
            self.selector.register(one, selectors.EVENT_READ)

    def wait_for(self, word, seconds=30):
        """Until each of them has read `word`."""
        left, deadline, rest = set(self.open), time.monotonic() + seconds, {}
        while left:
            assert time.monotonic() < deadline, f"{len(left)} listeners have heard nothing"
            for key, _ in self.selector.select(0.1):
                one = key.fileobj
                text = rest.get(one, b"") + one.recv(65536)
                rest[one] = text[-200:]
                if word in text:
                    left.discard(one)

    def close(self):
        for one in self.open:
            one.close()


def fan_out(plane, report):
    """From the answer of what happened to the last listener's word of it."""
    listeners = Listeners(plane, LISTENERS)
    times = []
    for _ in range(20):
        capsule = plane.create()
        start = time.perf_counter()
        listeners.wait_for(f'"id":"{capsule}"'.encode())
        times.append((time.perf_counter() - start) * 1000)
    report.line(f"sse_fanout_{LISTENERS}", "ms", times, engine=ENGINE)
    report.line("rss_cp_loaded", "MiB", [resident_mib(plane.process.pid)], engine=ENGINE, listeners=LISTENERS)
    listeners.close()


def to_webhook(plane, report):
    """From the answer of what happened to its arrival at the receiver."""
    receiver = WebhookReceiver()
    answer = plane.post("/v1/channels", {"name": "bench", "provider": "webhook", "config": {"url": receiver.url},
                                         "events": ["capsule.create"]})
    assert answer.status == 201, answer.body
    times = []
    for _ in range(100):
        capsule = plane.create()
        answered = time.monotonic()
        with receiver.changed:
            assert receiver.changed.wait_for(lambda: receiver.all and receiver.all[-1].resource == capsule, 30)
        times.append(max(0.0, receiver.all[-1].at - answered) * 1000)
    report.line("event_to_webhook", "ms", times, engine=ENGINE)
    receiver.stop()


def log_in(plane, report):
    """As many as the two threads of the hash allow."""
    person, rounds, workers, times = sign_up(plane), 10, 4, []
    body = json.dumps({"email": person.email, "password": "correct horse"})

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=60)
        for _ in range(rounds):
            start = time.perf_counter()
            connection.request("POST", "/v1/auth/login", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            times.append((time.perf_counter() - start) * 1000)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = rounds * workers / (time.perf_counter() - start)
    report.line("log_in", "ms", times, engine=ENGINE, connections=workers, per_second=round(rate, 1))


def main():
    agent = FakeAgent()
    plane = ControlPlane(agent.address, "--auth-rate-limits", "false", "--channels-allow-private", "true", "--worker-reconcile-period", "15s",
                         mails=True, log_level="warn")
    report = Report("none")
    try:
        for measure in (get_one, log_in, to_webhook, fan_out):
            measure(plane, report)
    finally:
        plane.stop()
        plane.remove()
        agent.stop()


if __name__ == "__main__":
    main()
