"""envd by itself, without a machine around it: what it adds to a process, to a file, to a key.

    python3 tests/bench/envd_alone.py          (part of tests/bench/run.sh envd)

The clients are bare sockets with requests made beforehand, so that what is measured is envd and not a library. Files go to
WRENN_BENCH_DIR, default /dev/shm: a disk would be measured otherwise.
"""

import base64
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from figures import Report, percentile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("WRENN_TEST_BINARY") or os.path.join(ROOT, os.environ.get("WRENN_BUILD_DIR", "build"), "wrenn")
MIB = 1 << 20
GIB = 1 << 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port):
    conn = socket.create_connection(("127.0.0.1", port))
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    conn.settimeout(60)
    return conn


class Envd:
    def __enter__(self):
        self.port = free_port()
        begin = time.perf_counter()
        self.process = subprocess.Popen([BINARY, "envd", "--host", "127.0.0.1", "--port", str(self.port)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        while True:
            try:
                conn = connect(self.port)
                break
            except ConnectionRefusedError:
                assert self.process.poll() is None, "envd has ended"
        conn.sendall(b"GET /health HTTP/1.1\r\nHost: envd\r\n\r\n")
        assert conn.recv(4096).startswith(b"HTTP/1.1 200")
        self.start_ms = (time.perf_counter() - begin) * 1000
        conn.close()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def mib(self, field):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(field + r":\s+(\d+) kB", status.read())[1]) / 1024


def start_request(cmd, args, pty=False):
    message = {"process": {"cmd": cmd, "args": args}, "stdin": False}
    if pty:
        message["pty"] = {"size": {"cols": 80, "rows": 24}}
    data = json.dumps(message).encode()
    body = struct.pack(">BI", 0, len(data)) + data
    return (f"POST /process.Process/Start HTTP/1.1\r\nHost: envd\r\nContent-Type: application/connect+json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def until(conn, marker):
    """The answer up to a marker; a chunked body ends with an empty chunk."""
    text = b""
    while marker not in text:
        part = conn.recv(65536)
        assert part, "envd has closed the connection"
        text += part
    return text


END = b"\r\n0\r\n\r\n"


def exec_overhead(report, envd):
    request = start_request("/bin/true", [])
    conn = connect(envd.port)
    remote, local = [], []
    for _ in range(500):  # in turn, so that both see the same machine
        begin = time.perf_counter()
        conn.sendall(request)
        answer = until(conn, END)
        remote.append((time.perf_counter() - begin) * 1000)
        assert b'"exited":true' in answer
        begin = time.perf_counter()
        _, status = os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)
        local.append((time.perf_counter() - begin) * 1000)
        assert status == 0
    echo = start_request("/bin/sh", ["-c", "echo x"])
    output = b'"stdout":"' + base64.b64encode(b"x\n") + b'"'
    lost = 0
    for _ in range(1000):
        conn.sendall(echo)
        lost += until(conn, END).count(output) != 1
    conn.close()
    middle = percentile(local, 0.5)
    report.line("envd_exec_overhead", "ms", [one - middle for one in remote], through_envd_p50=round(percentile(remote, 0.5), 3),
                local_p50=round(middle, 3), echoes=1000, echoes_lost=lost)


def files(report, envd):
    rate = lambda begin: GIB / 1e6 / (time.perf_counter() - begin)  # noqa: E731
    writes, reads = [], []
    with tempfile.TemporaryDirectory(dir=os.environ.get("WRENN_BENCH_DIR", "/dev/shm")) as folder:
        path = os.path.join(folder, "big")
        block = os.urandom(MIB)
        buffer = bytearray(4 * MIB)
        for _ in range(3):
            conn = connect(envd.port)
            begin = time.perf_counter()
            conn.sendall((f"POST /files?path={path} HTTP/1.1\r\nHost: envd\r\nContent-Type: application/octet-stream\r\n"
                          f"Content-Length: {GIB}\r\n\r\n").encode())
            for _ in range(GIB // MIB):
                conn.sendall(block)
            answer = until(conn, b"\r\n\r\n")
            writes.append(rate(begin))
            assert answer.startswith(b"HTTP/1.1 200") and os.path.getsize(path) == GIB, answer
            conn.close()
            conn = connect(envd.port)
            begin = time.perf_counter()
            conn.sendall(f"GET /files?path={path} HTTP/1.1\r\nHost: envd\r\nAccept-Encoding: identity\r\n\r\n".encode())
            head = until(conn, b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            got = len(head.partition(b"\r\n\r\n")[2])
            while got < GIB:
                part = conn.recv_into(buffer)
                assert part, "the file has broken off"
                got += part
            reads.append(rate(begin))
            conn.close()
    report.line("envd_file_write_1gib", "MB/s", writes)
    report.line("envd_file_read_1gib", "MB/s", reads)
    report.line("envd_rss_peak_1gib", "MiB", [envd.mib("VmHWM")])


def pty_echo(report, envd):
    stream = connect(envd.port)
    stream.sendall(start_request("/bin/sleep", ["1000"], pty=True))
    text = b""
    while b'"pid":' not in text:
        text += until(stream, b"}}}")
    pid = int(re.search(rb'"pid":(\d+)', text)[1])
    body = json.dumps({"process": {"pid": pid}, "input": {"pty": base64.b64encode(b"x").decode()}})
    request = (f"POST /process.Process/SendInput HTTP/1.1\r\nHost: envd\r\nContent-Type: application/json\r\n"
               f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
    conn = connect(envd.port)
    samples = []
    for _ in range(500):
        begin = time.perf_counter()
        conn.sendall(request)
        until(stream, b'"pty":"eA=="')  # the terminal's own echo
        samples.append((time.perf_counter() - begin) * 1000)
        until(conn, b"{}")
    report.line("envd_pty_echo", "ms", samples)
    stream.close()
    conn.close()


def run(report):
    starts, idle = [], []
    for _ in range(20):
        with Envd() as envd:
            starts.append(envd.start_ms)
    report.line("envd_start", "ms", starts)
    with Envd() as envd:
        time.sleep(1)
        idle.append(envd.mib("VmRSS"))
        report.line("envd_rss_idle", "MiB", idle)
        files(report, envd)  # first, so that the peak is theirs
        exec_overhead(report, envd)
        pty_echo(report, envd)


if __name__ == "__main__":
    sys.exit(run(Report("none")))
