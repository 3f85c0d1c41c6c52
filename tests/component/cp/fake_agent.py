"""A host agent without a host: the unary calls of api/agent.h and a guest that follows a script.

What it answers can be bent per method (`agent.on["CreateSandbox"] = function`) to be late, wrong, or not at all. It is only
for tests; the real agent has its own.
"""
import base64
import json
import socket
import socketserver
import struct
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

SERVICE = "/hostagent.v1.HostAgentService/"


class Fail(Exception):
    """A Connect error answer."""

    def __init__(self, code, message, status=500):
        super().__init__(message)
        self.code, self.status = code, status


class Drop(Exception):
    """Break the connection without an answer."""


class FakeAgent:
    def __init__(self, port=0, token=None):
        self.token = token  # what it asks for in X-Wrenn-Agent-Token
        self.on = {}  # method → function(agent, request) → answer
        self.failure = None  # a Fail or Drop: the end of every call about a capsule, its guest or a template
        self.calls = []  # (method, request)
        self.sandboxes = {}
        self.checkpoints = {}  # sandbox id → list of what ListCheckpoints tells
        self.templates = [template(4, "minimal-debian")]
        self.memory_mb = 16384
        self.guest = Guest()
        self.ports = Ports()
        self.lock = threading.Lock()
        self.connections = set()
        agent = self

        class Handler(AgentHandler):
            pass

        Handler.agent = agent

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 1024

            def handle_error(self, *_):
                pass  # a client that breaks off is part of the tests

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def stop(self):
        """As a crash: the port is closed and every connection breaks."""
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in list(self.connections):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def called(self, method):
        return [request for name, request in self.calls if name == method]

    # What an obedient agent does.

    def info(self, sandbox_id):
        if sandbox_id not in self.sandboxes:
            raise Fail("not_found", f"sandbox {sandbox_id} does not exist on this host", 404)
        return self.sandboxes[sandbox_id]

    def create(self, request):
        sandbox_id = request["sandboxId"]
        info = {"sandboxId": sandbox_id, "status": "running", "teamId": request["teamId"],
                "templateId": request["templateId"], "vcpus": request["vcpus"], "memoryMb": request["memoryMb"],
                "hostIp": "10.11.0.2", "accessToken": "token-of-" + sandbox_id, "metadata": {"kernel_version": "6.1", "agent_version": "test"}}
        self.sandboxes[sandbox_id] = info
        return info

    def destroy(self, request):
        self.sandboxes.pop(request["sandboxId"], None)
        self.checkpoints.pop(request["sandboxId"], None)
        return {}

    def fork(self, request):
        parent = self.info(request["sandboxId"])
        made = []
        for child in request["children"]:
            info = {**parent, "sandboxId": child["sandboxId"], "status": "running", "hostIp": "10.11.0.9",
                    "accessToken": "token-of-" + child["sandboxId"],
                    "metadata": {**child.get("metadata", {}), "agent_version": "test"}}
            made.append(info)
        for info in made:
            self.sandboxes[info["sandboxId"]] = info
        return {"sandboxes": made}

    def create_checkpoint(self, request):
        self.info(request["sandboxId"])
        made = {"checkpointId": request["checkpointId"], "createdAtUs": 1_700_000_000_000_000, "sizeBytes": 4096}
        if request.get("name"):
            made["name"] = request["name"]
        self.checkpoints.setdefault(request["sandboxId"], []).append(made)
        return made

    def delete_checkpoint(self, request):
        kept = [one for one in self.checkpoints.get(request["sandboxId"], [])
                if one["checkpointId"] != request["checkpointId"]]
        self.checkpoints[request["sandboxId"]] = kept
        return {}

    def rollback(self, request):
        info = self.info(request["sandboxId"])
        if request["checkpointId"] not in [one["checkpointId"] for one in self.checkpoints.get(request["sandboxId"], [])]:
            raise Fail("not_found", "no such checkpoint", 404)
        info["status"], info["hostIp"] = "running", "10.11.0.4"
        return info

    def create_snapshot(self, request):
        info = self.info(request["sandboxId"])
        made = next((one for one in self.templates if one["templateId"] == request["templateId"]), None)
        if made is None:
            made = {"generation": "g0", "defaultUser": "root"}
            self.templates.append(made)
        made.update({"templateId": request["templateId"], "teamId": request["templateTeamId"], "name": request["templateName"],
                     "generation": "g" + str(int(made["generation"][1:]) + 1), "sizeBytes": 5000, "snapshot": True,
                     "vcpus": info["vcpus"], "memoryMb": info["memoryMb"]})
        return made

    def delete_template(self, request):
        self.templates = [one for one in self.templates if one["templateId"] != request["templateId"]]
        return {}

    def pause(self, request):
        info = self.info(request["sandboxId"])
        info["status"] = "paused"
        info.pop("hostIp", None)
        return info

    def resume(self, request):
        info = self.info(request["sandboxId"])
        info["status"], info["hostIp"] = "running", "10.11.0.3"
        return info

    def answer(self, method, request):
        self.calls.append((method, request))
        if self.failure and ("sandboxId" in request or "templateId" in request):
            raise self.failure
        if method in self.on:
            return self.on[method](self, request)
        return self.obey(method, request)

    def obey(self, method, request):
        if method == "CreateSandbox":
            return self.create(request)
        if method == "DestroySandbox":
            return self.destroy(request)
        if method == "PauseSandbox":
            return self.pause(request)
        if method == "ResumeSandbox":
            return self.resume(request)
        calls = {"ForkSandbox": self.fork, "CreateCheckpoint": self.create_checkpoint,
                 "DeleteCheckpoint": self.delete_checkpoint, "RollbackSandbox": self.rollback,
                 "CreateSnapshot": self.create_snapshot, "DeleteTemplate": self.delete_template}
        if method in calls:
            return calls[method](request)
        if method == "ListCheckpoints":
            self.info(request["sandboxId"])
            return {"checkpoints": self.checkpoints.get(request["sandboxId"], [])}
        if method == "PingSandbox":
            self.info(request["sandboxId"])
            return {}
        if method == "ListSandboxes":
            return {"sandboxes": list(self.sandboxes.values())}
        if method == "GetSandboxMetrics":
            self.info(request["sandboxId"])
            return {"points": [{"timestampUnix": 1, "cpuPct": 12.5, "memBytes": 1024, "diskBytes": 4096}]}
        if method == "GetHostMetrics":
            return {"points": [{"timestampUnix": 2, "cpuPct": 37.5, "memBytes": 1 << 33, "diskBytes": 1 << 40}]}
        if method == "GetHostInfo":
            return {"arch": "x86_64", "cpuCores": 4, "memoryMb": self.memory_mb, "diskGb": 100, "acceleration": "tcg",
                    "agentVersion": "test", "templates": self.templates}
        raise Fail("unimplemented", "no such method", 501)


def template(number, name):
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return {"templateId": text.rjust(25, "0"), "teamId": "0" * 25, "name": name, "generation": "g1",
            "defaultUser": "root", "sizeBytes": 1000}


def late(seconds, then=None):
    """A handler that obeys after a while."""
    def handler(agent, request):
        time.sleep(seconds)
        return then(agent, request) if then else None
    return handler


def held(then):
    """A handler that obeys once the event is set, and the event."""
    go_on = threading.Event()
    return lambda agent, request: go_on.wait(20) and then(agent, request), go_on


class Guest:
    """Files in a dictionary, processes from a script."""

    def __init__(self):
        self.files = {"/root/hello": b"hello\n", "/root/empty": b""}
        self.directories = {"/", "/root"}
        self.requests = []  # (method, request, user)
        self.scripts = {}  # cmd → list of events or ("sleep", s), ("break",), ("error", code, message)
        self.wait = {}  # cmd → threading.Event that its script's ("wait",) waits for
        self.read_breaks_after = None  # bytes of a download after which the connection breaks
        self.write_error = None  # (status, code) of an upload
        self.write_error_early = False  # it is told before the body was read, and the connection ends


class Ports:
    """What listens on ports of guests: answers with what it heard, unless a path asks for something else."""

    def __init__(self):
        self.seen = []  # (method, path, headers as a list of pairs)
        self.release = threading.Event()  # what /hold waits for
        self.upgraded = 0  # connections that programs have upgraded and that have not ended
        self.lock = threading.Lock()

    def count_upgraded(self, by):
        with self.lock:
            self.upgraded += by


def start(pid):
    return {"event": {"start": {"pid": pid}}}


def data(stream, content):
    return {"event": {"data": {stream: base64.b64encode(content).decode()}}}


def end(code, status=None):
    return {"event": {"end": {"exitCode": code, "exited": code >= 0, "status": status or f"exit status {code}"}}}


class AgentHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    agent = None

    def setup(self):
        super().setup()
        with self.agent.lock:
            self.agent.connections.add(self.connection)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def finish(self):
        with self.agent.lock:
            self.agent.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *_):
        pass

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while True:
                line = self.rfile.readline()
                if not line.endswith(b"\r\n"):
                    raise Drop()
                size = int(line.split(b";")[0], 16)
                piece = self.rfile.read(size)
                if not self.rfile.readline().endswith(b"\r\n") or len(piece) < size:
                    raise Drop()
                if size == 0:
                    return b"".join(pieces)
                pieces.append(piece)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send_answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, failure):
        self.send_answer(failure.status, json.dumps({"code": failure.code, "message": str(failure)}).encode())

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.do_POST  # any method
        raise AttributeError(name)

    def do_POST(self):
        try:
            if self.agent.token is not None and self.headers.get("X-Wrenn-Agent-Token") != self.agent.token:
                self.close_connection = True
                raise Fail("unauthenticated", "the agent's token is required", 401)
            if self.path.startswith("/proxy/"):
                self.port()
            elif self.path.startswith(SERVICE):
                request = json.loads(self.read_body() or b"{}")
                self.send_answer(200, json.dumps(self.agent.answer(self.path[len(SERVICE):], request)).encode())
            else:
                self.pass_through()
        except Fail as failure:
            self.fail(failure)
        except (Drop, OSError, ValueError):
            self.close_connection = True

    do_GET = do_POST

    # --- ports of the guest ---

    def port(self):
        _, _, sandbox_id, port, rest = self.path.split("/", 4)
        if sandbox_id not in self.agent.sandboxes:
            text = json.dumps({"sandboxId": sandbox_id, "message": "The sandbox was not found", "code": 502})
            self.send_answer(502, text.encode())
            return
        self.agent.ports.seen.append((self.command, self.path, self.headers.items()))
        if self.headers.get("Upgrade"):
            self.agent.ports.count_upgraded(1)
            try:
                self.tally()
            finally:
                self.agent.ports.count_upgraded(-1)
        elif rest == "echo":
            self.send_answer(200, self.read_body(), "application/octet-stream")
        elif rest in ("hold", "break"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n")
            self.wfile.flush()
            if rest == "break":
                raise Drop()
            self.agent.ports.release.wait(60)
            self.wfile.write(b"0\r\n\r\n")
        else:
            body = self.read_body()
            heard = {"method": self.command, "path": self.path, "headers": self.headers.items(), "body": body.decode()}
            self.send_answer(200, b"" if self.command == "HEAD" else json.dumps(heard).encode())

    def tally(self):
        """A program that speaks a protocol of its own: everything comes back in capitals, and how much it was."""
        self.close_connection = True
        self.connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tally\r\n\r\n")
        total = 0
        while piece := self.rfile.read1(65536):
            total += len(piece)
            self.connection.sendall(piece.upper())
        self.connection.sendall(b"(%d)" % total)

    # --- the guest ---

    def pass_through(self):
        _, _, sandbox_id, _, path = self.path.split("/", 4)
        info = self.agent.info(sandbox_id)
        if self.agent.failure:
            self.read_body()
            raise self.agent.failure
        if info["status"] != "running":
            raise Fail("failed_precondition", "sandbox is not running", 400)
        path, _, query = path.partition("?")
        user = None
        if self.headers.get("Authorization", "").startswith("Basic "):
            user = base64.b64decode(self.headers["Authorization"][6:]).decode().split(":")[0]
        if path == "files":
            self.files(urllib.parse.parse_qs(query)["path"][0])
            return
        body = self.read_body()
        if self.headers["Content-Type"] == "application/connect+json":
            length = struct.unpack(">I", body[1:5])[0]
            request = json.loads(body[5:5 + length])
            self.agent.guest.requests.append((path, request, user))
            self.stream(path, request)
        else:
            request = json.loads(body)
            self.agent.guest.requests.append((path, request, user))
            self.send_answer(200, json.dumps(self.unary(path, request)).encode())

    def unary(self, path, request):
        guest = self.agent.guest
        method = path.split("/")[-1]
        if method == "List":
            return {"processes": [{"pid": 7, "tag": "proc-1", "config": {"cmd": "sleep", "args": ["9"]}},
                                  {"pid": 8, "config": {"cmd": "init"}}]}
        if method in ("SendSignal", "SendInput", "Update", "CloseStdin"):
            process = request.get("process", {})
            if process.get("pid") == 404 or process.get("tag") == "unknown":
                raise Fail("not_found", "no such process", 404)
            if method == "SendSignal" and request["signal"] not in (9, 15):
                raise Fail("invalid_argument", "field signal", 400)
            for event in guest.wait.values():
                if method == "SendSignal":
                    event.set()
            return {}
        where = request.get("path", "")
        if method == "ListDir":
            if where == "/nothing":
                raise Fail("not_found", "no such directory", 404)
            if where in guest.files:
                raise Fail("invalid_argument", "not a directory", 400)
            return {"entries": [entry("hello", "FILE_TYPE_FILE"), entry("sock", "FILE_TYPE_UNSPECIFIED"),
                                entry("sub", "FILE_TYPE_DIRECTORY")]}
        if method == "MakeDir":
            if where in guest.directories:
                raise Fail("already_exists", "directory exists", 409)
            if where in guest.files:
                raise Fail("invalid_argument", "a file is in the way", 400)
            guest.directories.add(where)
            return {"entry": entry(where.split("/")[-1], "FILE_TYPE_DIRECTORY")}
        if method == "Remove":
            if guest.files.pop(where, None) is None:
                raise Fail("not_found", "no such file", 404)
            return {}
        raise Fail("unimplemented", method, 501)

    def stream(self, path, request):
        guest = self.agent.guest
        if path.endswith("Start"):
            cmd = request["process"]["cmd"]
            if cmd == "missing-command":
                raise Fail("not_found", "executable file not found in PATH", 404)
        else:
            selector = request["process"]
            cmd = selector.get("tag") or str(selector.get("pid"))
            if cmd not in guest.scripts:
                raise Fail("not_found", "no such process", 404)
        script = guest.scripts.get(cmd, [start(42), data("stdout", b"out\n"), end(0)])
        self.send_response(200)
        self.send_header("Content-Type", "application/connect+json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for step in script:
            if isinstance(step, dict):
                self.envelope(step)
            elif step[0] == "sleep":
                time.sleep(step[1])
            elif step[0] == "wait":
                guest.wait[cmd].wait(60)
            elif step[0] == "break":
                raise Drop()
            elif step[0] == "error":
                self.envelope({"error": {"code": step[1], "message": step[2]}}, 2)
                self.wfile.write(b"0\r\n\r\n")
                return
        self.envelope({}, 2)
        self.wfile.write(b"0\r\n\r\n")

    def envelope(self, message, flags=0):
        text = json.dumps(message).encode()
        frame = struct.pack(">BI", flags, len(text)) + text
        self.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
        self.wfile.flush()

    def files(self, path):
        guest = self.agent.guest
        if self.command == "POST":
            if guest.write_error and guest.write_error_early:
                self.close_connection = True
                raise Fail(guest.write_error[1], "the guest refused", guest.write_error[0])
            content = self.read_body()
            if guest.write_error:
                raise Fail(guest.write_error[1], "the guest refused", guest.write_error[0])
            guest.files[path] = content
            self.send_answer(200, b"[]")
            return
        if path in guest.directories:
            raise Fail("invalid_argument", "is a directory", 400)
        if path not in guest.files:
            raise Fail("not_found", f"{path}: no such file", 404)
        content = guest.files[path]
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if guest.read_breaks_after is not None:
            self.wfile.write(content[:guest.read_breaks_after])
            raise Drop()
        self.wfile.write(content)


def entry(name, kind):
    return {"name": name, "type": kind, "path": "/root/" + name, "size": "6", "mode": 420, "permissions": "-rw-r--r--",
            "owner": "root", "group": "root", "modifiedTime": "2023-11-14T22:13:20Z"}
