"""How fast the control plane answers while many streams are open."""

import contextlib
import http.client
import time

from sockets import Session

STREAMS = 500
STREAMS_PER_PROCESS = 50  # envd lets 64 follow one process
REQUESTS = 500


def health_times(platform):
    """On one kept connection, as a load balancer asks."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
    times = []
    for _ in range(REQUESTS):
        start = time.perf_counter()
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - start) * 1000)
        assert answer.status == 200
    connection.close()
    return times


def health_beside_streams(platform, report):
    report.line("health_latency", "ms", health_times(platform), streams=0)
    with platform.create() as capsule, contextlib.ExitStack() as sessions:
        for _ in range(STREAMS // STREAMS_PER_PROCESS):
            started = capsule.call("POST", "/exec", {"cmd": "sleep", "args": ["1000"], "background": True}).json()
            for _ in range(STREAMS_PER_PROCESS):
                sessions.enter_context(Session(capsule, f"/processes/{started['pid']}/stream")).until("start")
        time.sleep(1)
        report.line("health_latency", "ms", health_times(platform), streams=STREAMS)
