"""The benchmarks of tests/bench/run.sh."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import envd_alone
from figures import Report
from lifecycle import lifecycle
from streams import health_beside_streams
from wrenn_platform import BINARY, DIR, Platform

MIB = 1 << 20


def milliseconds(call):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) / 1024


def acceleration():
    with open(os.path.join(DIR, "acceleration.json")) as file:
        return json.load(file).get("kind", "tcg")


class KeptAlive:
    """One connection, as an SDK keeps it."""

    def __init__(self, platform):
        self.connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=120)
        self.key = platform.key

    def request(self, method, path, body=None, headers=None):
        fields = {"X-API-Key": self.key, **(headers or {})}
        if isinstance(body, dict):
            body = json.dumps(body)
        self.connection.request(method, path, body, fields)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def envd(platform, report):
    envd_alone.run(Report("none"))
    with platform.create() as capsule:
        client = KeptAlive(platform)
        base = f"/v1/capsules/{capsule.id}"
        body = json.dumps({"cmd": "true"})

        def run_true():
            status, answer = client.request("POST", f"{base}/exec", body)
            assert status == 200, answer

        run_true()
        report.line("exec_true", "ms", [milliseconds(run_true) for _ in range(200)], path="rest")

        boundary = "bench"
        data = os.urandom(MIB) * 100
        form = (f'--{boundary}\r\nContent-Disposition: form-data; name="path"\r\n\r\n/root/big\r\n'
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n').encode() + data + f"\r\n--{boundary}--\r\n".encode()
        writes, reads = [], []
        for _ in range(5):
            start = time.perf_counter()
            status, answer = client.request("POST", f"{base}/files/stream/write", form, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
            assert status == 204, answer
            writes.append(100 * MIB / 1e6 / (time.perf_counter() - start))
            start = time.perf_counter()
            status, answer = client.request("POST", f"{base}/files/stream/read", json.dumps({"path": "/root/big"}))
            assert status == 200 and len(answer) == len(data)
            reads.append(100 * MIB / 1e6 / (time.perf_counter() - start))
        report.line("file_write_100mib", "MB/s", writes)
        report.line("file_read_100mib", "MB/s", reads)


def wrk(platform, path, connections, seconds=8):
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"X-API-Key: {platform.key}", platform.url + path],
                          capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in done and "Socket errors" not in done, done
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done)
    return rate, float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]


def api(platform, report):
    report.line("rss_dev_idle", "MiB", [resident_mib(platform.process.pid)])
    with tempfile.TemporaryDirectory() as folder:
        stripped = os.path.join(folder, "wrenn")
        subprocess.run(["strip", "-o", stripped, BINARY], check=True)
        report.line("binary_stripped", "MiB", [os.path.getsize(stripped) / MIB], megabytes=round(os.path.getsize(stripped) / 1e6, 2))
    rate, p99 = wrk(platform, "/health", 64)
    report.line("health", "1/s", [rate], p99_ms=p99, connections=64)
    # A hundred rows as a list shows them, put in beside the running server: capsules that another host has.
    insert_rows(platform, 100)
    try:
        rate, p99 = wrk(platform, "/v1/capsules", 64)
        report.line("api_list_100", "1/s", [rate], p99_ms=p99, connections=64, rows=100)
    finally:
        insert_rows(platform, 0)
    health_beside_streams(platform, report)
    alone = [sys.executable, os.path.join(os.path.dirname(__file__), "control_plane_alone.py")]
    subprocess.run(alone, check=True)
    subprocess.run([os.path.join(os.path.dirname(__file__), "..", "postgres.sh"), *alone], check=True)


def insert_rows(platform, count):
    subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), "rows.py"), os.path.join(platform.directory, "wrenn.db"), str(count)], check=True)


GROUPS = {"lifecycle": lifecycle, "envd": envd, "api": api}


def main():
    chosen = sys.argv[1:] or list(GROUPS)
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        sys.exit(f"bench: no group {unknown[0]}; there are: {', '.join(GROUPS)}")
    platform = Platform(log_level="warn").start()
    try:
        time.sleep(1)
        for name in chosen:
            GROUPS[name](platform, Report(acceleration()))
    finally:
        platform.stop()


main()
