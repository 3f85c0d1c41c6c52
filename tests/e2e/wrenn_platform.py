"""A running `wrenn dev` and the calls that tests make to it."""

import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time

BINARY = os.environ["WRENN_TEST_BINARY"]
DIR = os.environ["WRENN_TEST_DIR"]
# What every `wrenn dev` is started with besides, e.g. "--acceleration kvm".
DEV_OPTIONS = shlex.split(os.environ.get("WRENN_TEST_DEV_OPTIONS", ""))
# How many times slower than a usual machine this one is (tests/lab); all of our own deadlines are stretched by it.
SLOWNESS = float(os.environ.get("WRENN_TEST_SLOWNESS", "1"))
# Of capsules whose size a test does not care about; empty: what the product gives them.
MEMORY_MB = os.environ.get("WRENN_TEST_MEMORY_MB", "")
START_SECONDS = 60 * SLOWNESS
STOP_SECONDS = 60 * SLOWNESS


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def error(self):
        """(status, code, message) of an error envelope."""
        envelope = self.json()["error"]
        return self.status, envelope["code"], envelope["message"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def end(process, name, said):
    """By SIGTERM, if it runs; that it does not end in time is a failure, told with what it `said()`."""
    if not process or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"{name} did not end:\n{said()}")


def drop(log):
    """Closes and removes a log, if there is one; returns None to put in its place."""
    if log:
        log.close()
        os.unlink(log.name)


class Platform:
    def __init__(self, directory=DIR, extra=(), environment=None, log_level="debug", binary=BINARY):
        self.binary = binary
        self.log_level = log_level
        self.directory = directory
        self.port = free_port()
        self.extra = [*DEV_OPTIONS, *extra]
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.log = None
        self.key = None

    def start(self):
        self.log = open(os.path.join(tempfile.gettempdir(), f"wrenn-e2e-{self.port}.log"), "w+")
        self.process = subprocess.Popen(
            [self.binary, "--log-level", self.log_level, "dev", "--dir", self.directory, "--listen", f"127.0.0.1:{self.port}", *self.extra],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.environment)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"wrenn dev ended with {self.process.returncode}:\n{self.log_text()}")
            try:
                if self.request("GET", "/health", key=None, timeout=2).status == 200:
                    break
            except OSError:
                time.sleep(0.05)
        else:
            raise AssertionError(f"wrenn dev does not answer:\n{self.log_text()}")
        with open(os.path.join(self.directory, "dev.json")) as file:
            self.key = json.load(file)["api_key"]
        return self

    def stop(self):
        end(self.process, "wrenn dev", self.log_text)
        self.log = drop(self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log_text(self, last=6000):
        self.log.flush()
        with open(self.log.name) as file:
            return file.read()[-last:]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, body=None, key="own", headers=None, timeout=120 * SLOWNESS):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        fields = dict(headers or {})
        if key == "own":
            key = self.key
        if key is not None:
            fields["X-API-Key"] = key
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            fields.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def create(self, **options):
        if MEMORY_MB:
            options.setdefault("memory_mb", int(MEMORY_MB))
        answer = self.request("POST", "/v1/capsules", options, headers={"Prefer": "wait=60"})
        assert answer.status == 201, answer
        capsule = answer.json()
        deadline = time.monotonic() + 60 * (SLOWNESS - 1)  # the API waits no longer than a minute
        while capsule["status"] == "starting" and time.monotonic() < deadline:
            time.sleep(0.2 * SLOWNESS)
            capsule = self.request("GET", f"/v1/capsules/{capsule['id']}").json()
        assert capsule["status"] == "running", capsule
        return Capsule(self, capsule["id"])

    def destroy_all(self):
        for capsule in self.request("GET", "/v1/capsules").json():
            Capsule(self, capsule["id"]).destroy()

    def cli(self, *arguments, stdin=None, timeout=120, binary=False):
        environment = dict(os.environ, WRENN_BASE_URL=self.url, WRENN_API_KEY=self.key)
        return subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, timeout=timeout, text=not binary,
                              env=environment)


class Capsule:
    def __init__(self, platform, identity):
        self.platform, self.id = platform, identity

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.destroy()

    def call(self, method, route="", body=None, **options):
        return self.platform.request(method, f"/v1/capsules/{self.id}{route}", body, **options)

    def destroy(self):
        answer = self.call("DELETE")
        assert answer.status == 204, answer

    def status(self):
        return self.call("GET").json()["status"]

    def exec(self, cmd, *args, **options):
        answer = self.call("POST", "/exec", dict(cmd=cmd, args=list(args), **options))
        assert answer.status == 200, answer
        return answer.json()

    def shell(self, script, **options):
        return self.exec("/bin/sh", "-c", script, **options)

    def websocket_url(self, route):
        return f"ws://127.0.0.1:{self.platform.port}/v1/capsules/{self.id}{route}"
