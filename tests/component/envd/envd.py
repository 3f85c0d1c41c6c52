"""A client of envd with nothing but the standard library, and a fixture that runs one.

The program is ENVD_COMMAND if set (a shell-like list of words), else build/wrenn envd.
"""

import base64
import http.client
import json
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def command():
    if "ENVD_COMMAND" in os.environ:
        return shlex.split(os.environ["ENVD_COMMAND"])
    build = os.environ.get("WRENN_BUILD_DIR", "build")
    return [os.path.join(ROOT, build, "wrenn"), "envd"]


class RpcError(Exception):
    def __init__(self, code, message, status=200):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


def envelope(message, flags=0):
    data = json.dumps(message).encode() if not isinstance(message, bytes) else message
    return struct.pack(">BI", flags, len(data)) + data


class Stream:
    """The events of a Start or Connect call."""

    def __init__(self, envd, method, message, headers=None, buffer=None):
        self.conn = socket.create_connection(("127.0.0.1", envd.port))
        if buffer:
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        body = envelope(message)
        fields = {"Host": "envd", "Content-Type": "application/connect+json", "Content-Length": str(len(body))}
        fields.update(envd.headers)
        fields.update(headers or {})
        head = f"POST /{method} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        self.conn.sendall(head.encode() + body)
        self.conn.settimeout(60)
        self.response = http.client.HTTPResponse(self.conn, method="POST")
        self.response.begin()
        self.ended = False

    def __iter__(self):
        return self

    def raw(self):
        head = self.response.read(5)
        if len(head) < 5:
            raise EOFError("the stream broke off without an end")
        flags, size = struct.unpack(">BI", head)
        data = self.response.read(size)
        if len(data) < size:
            raise EOFError("the stream broke off inside a message")
        return flags, json.loads(data)

    def __next__(self):
        if self.ended:
            raise StopIteration
        flags, message = self.raw()
        if flags & 2:
            self.ended = True
            if "error" in message:
                raise RpcError(message["error"]["code"], message["error"].get("message", ""))
            raise StopIteration
        return message["event"]

    def start(self):
        event = next(self)
        assert "start" in event, event
        return event["start"]["pid"]

    def collect(self):
        """Everything up to the end: (stdout, stderr, pty, end event)."""
        out = {"stdout": bytearray(), "stderr": bytearray(), "pty": bytearray()}
        end = None
        for event in self:
            assert end is None, "an event after the end event"
            if "data" in event:
                for kind, text in event["data"].items():
                    out[kind] += base64.b64decode(text)
            elif "end" in event:
                end = event["end"]
        self.close()
        return bytes(out["stdout"]), bytes(out["stderr"]), bytes(out["pty"]), end

    def close(self):
        self.response.close()
        self.conn.close()


class Envd:
    def __init__(self, args=(), env=None, wrap=(), program=None):
        self.headers = {}
        self.process = subprocess.Popen(
            [*wrap, *(program or [*command(), "--host", "127.0.0.1"]), "--port", "0", "--print-address", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True)
        line = self.process.stdout.readline()
        match = re.search(r":(\d+)\s*$", line)
        if not match:
            self.process.kill()
            raise RuntimeError(f"envd did not start: {line!r} {self.process.stderr.read()}")
        self.port = int(match.group(1))
        self.log = []
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("envd did not stop within 15 s of SIGTERM")
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
        assert self.process.returncode == 0, f"envd ended with {self.process.returncode}: {''.join(self.log)}"

    def resident_kib(self, field="VmRSS"):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(field + r":\s+(\d+)", status.read()).group(1))

    def request(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, body) of a plain request."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            fields = dict(self.headers)
            fields.update(headers or {})
            conn.request(method, path, body, fields)
            response = conn.getresponse()
            return response.status, response.headers, response.read()
        finally:
            conn.close()

    def call(self, method, message, headers=None, timeout=60):
        fields = {"Content-Type": "application/json"}
        fields.update(headers or {})
        status, _, body = self.request("POST", "/" + method, json.dumps(message), fields, timeout)
        answer = json.loads(body)
        if status != 200:
            raise RpcError(answer["code"], answer.get("message", ""), status)
        return answer

    def stream(self, method, message, headers=None, **kwargs):
        return Stream(self, method, message, headers, **kwargs)

    def start(self, cmd, args=(), headers=None, pty=None, tag=None, stdin=None, cwd=None, envs=None, **kwargs):
        message = {"process": {"cmd": cmd, "args": list(args)}}
        if cwd is not None:
            message["process"]["cwd"] = cwd
        if envs:
            message["process"]["envs"] = envs
        if pty:
            message["pty"] = {"size": {"cols": pty[0], "rows": pty[1]}}
        if tag:
            message["tag"] = tag
        if stdin is not None:
            message["stdin"] = stdin
        return self.stream("process.Process/Start", message, headers, **kwargs)

    def run(self, cmd, args=(), **kwargs):
        """(stdout, stderr, end event) of a process run to its end."""
        stream = self.start(cmd, args, stdin=False, **kwargs)
        stream.start()
        out, err, _, end = stream.collect()
        return out, err, end

    def shell(self, script, **kwargs):
        return self.run("/bin/sh", ["-c", script], **kwargs)

    def send_input(self, pid, data, kind="stdin", timeout=60):
        return self.call("process.Process/SendInput",
                         {"process": {"pid": pid}, "input": {kind: base64.b64encode(data).decode()}}, timeout=timeout)

    def signal(self, pid, name):
        return self.call("process.Process/SendSignal", {"process": {"pid": pid}, "signal": name})

    def processes(self):
        return self.call("process.Process/List", {})["processes"]


def wait_until(condition, seconds=30, what="condition"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {seconds} s")


def alive(pid):
    """Whether a process runs: a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def basic(user):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:".encode()).decode()}
