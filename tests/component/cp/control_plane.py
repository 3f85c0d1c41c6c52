"""One control plane in a directory of its own, with a team and a key, and a client for it."""
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from websocket import Refused, WebSocket

from own_database import OwnDatabase

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
WRENN = os.path.join(REPOSITORY, os.environ.get("WRENN_BUILD_DIR", "build"), "wrenn")

# Method, path and status of all that was answered in this run; see test_documented_answers.py.
SEEN = set()


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def message(self):
        return self.json["error"]["message"]


class ControlPlane:
    def __init__(self, agent_address, *flags, mails=False, database=None, log_level="debug"):
        """`database`: that of another one, which must be PostgreSQL."""
        self.dir = tempfile.mkdtemp(prefix="wrenn-cp-")
        if mails:
            flags += ("--mail-dir", os.path.join(self.dir, "mails"))
        self.own_database = database or OwnDatabase(self.dir)
        self.flags, self.log_level = flags, log_level
        self.agent_address = agent_address
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None
        self.start()
        self.key = self.add_key()

    def beside(self, *flags):
        """Another process on the same database, which must be PostgreSQL."""
        with open(os.path.join(self.dir, "encryption.key"), encoding="ascii") as key:
            self.own_database.environment["WRENN_ENCRYPTION_KEY"] = key.read().strip()
        return ControlPlane(self.agent_address, *(flags or self.flags), database=self.own_database)

    def start(self):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen(
            [WRENN, "--dir", self.dir, "cp", "--listen", f"127.0.0.1:{self.port}", "--agent-address", self.agent_address,
             *(() if "--worker-reconcile-period" in self.flags else ("--worker-reconcile-period", "300ms")), *self.flags], stderr=self.log, stdout=self.log,
            env={**os.environ, **self.own_database.environment, "LOG_LEVEL": self.log_level})
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.get("/health", key=None).status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the control plane does not start:\n" + self.log_text())
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=40)
        self.log.close()
        return code

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def log_text(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def database(self):
        return self.own_database.connect()

    def add_key(self):
        """A team of its own with a key, as the program would write them."""
        key = "wrn_" + secrets.token_hex(16)
        digits = "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(24))
        with self.database() as database:
            database.execute("INSERT INTO teams (id, name, slug, created_at) VALUES (?, 'T', ?, 1)",
                             (f"team-0{digits}", secrets.token_hex(3) + "-" + secrets.token_hex(3)))
            database.execute("INSERT INTO team_api_keys (id, team_id, name, key_hash, key_prefix, created_at) "
                             "VALUES (?, ?, 'k', ?, ?, 1)",
                             (f"key-0{digits}", f"team-0{digits}", hashlib.sha256(key.encode()).hexdigest(), key[:10]))
        return key

    def row(self, capsule_id):
        with self.database() as database:
            return database.execute("SELECT * FROM sandboxes WHERE id = ?", (capsule_id,)).fetchone()

    DEFAULT_KEY = object()

    def request(self, method, path, body=None, headers=None, key=DEFAULT_KEY, timeout=30):
        headers = dict(headers or {})
        if key is ControlPlane.DEFAULT_KEY:
            key = self.key
        if key:
            headers.setdefault("X-API-Key", key)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            try:
                connection.request(method, path, body=body, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                pass  # answered before the whole body was sent
            response = connection.getresponse()
            answer = Answer(response, response.read())
            SEEN.add((method, path, answer.status))
            return answer
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def create(self, **fields):
        answer = self.post("/v1/capsules", fields)
        assert answer.status == 201, answer.body
        return answer.json["id"]

    def wait_for_row(self, capsule_id, *statuses, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            row = self.row(capsule_id)
            if row is not None and row["status"] in statuses:
                return row
            assert time.monotonic() < deadline, f"{capsule_id} is {row['status'] if row else 'nowhere'}, not {statuses}"
            time.sleep(0.03)

    def upload(self, path, parts, headers=None, **more):
        """parts: (name, filename or None, bytes) in order."""
        boundary = "b" + secrets.token_hex(8)
        body = b""
        for name, filename, content in parts:
            extra = f'; filename="{filename}"' if filename else ""
            body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n').encode() + content + b"\r\n"
        body += f"--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **(headers or {})}
        return self.request("POST", path, body, headers=headers, **more)

    def socket(self, path, key=DEFAULT_KEY, **more):
        key = self.key if key is ControlPlane.DEFAULT_KEY else key
        try:
            opened = WebSocket(self.port, path, {"X-API-Key": key} if key else {}, **more)
        except Refused as refused:
            SEEN.add(("GET", path, refused.status))
            raise
        SEEN.add(("GET", path, 101))
        return opened
