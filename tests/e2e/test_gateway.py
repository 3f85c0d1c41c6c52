"""Programs in a capsule are reached on their ports, by name and by header, as long as the capsule runs."""

import hashlib
import http.client
import os
import secrets
import socket
import sqlite3
import subprocess
import time

import pytest
import websocket

from wrenn_platform import BINARY, DIR, Platform, free_port

MIB = 1 << 20

# What runs in the guest: files by http.server, and a program that counts, streams and speaks WebSocket.
PROGRAM = r"""
import base64, hashlib, http.server, socketserver, struct, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.talk()
        if self.path.startswith("/zeros/"):
            count = int(self.path.split("/")[2])
            self.send_response(200)
            self.send_header("Content-Length", str(count << 20))
            self.end_headers()
            for _ in range(count):
                self.wfile.write(bytes(1 << 20))
            return
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while True:
                self.wfile.write(b"5\r\nline\n\r\n")
                self.wfile.flush()
                time.sleep(0.05)
        self.tell(repr((self.path, sorted(self.headers.items()))).encode())
    def do_POST(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            digest.update(piece)
            left -= len(piece)
        self.tell(digest.hexdigest().encode())
    def tell(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def talk(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                return
            length = head[1] & 127
            if length == 126:
                length = struct.unpack(">H", self.rfile.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.rfile.read(8))[0]
            mask = int.from_bytes(self.rfile.read(4) * (length // 4 + 1), "big")
            data = self.rfile.read(length)
            mask >>= 8 * (4 * (length // 4 + 1) - length)
            data = (int.from_bytes(data, "big") ^ mask).to_bytes(length, "big")
            sign = bytes([length]) if length < 126 else b"\x7e" + struct.pack(">H", length) if length < 65536 else b"\x7f" + struct.pack(">Q", length)
            self.wfile.write(bytes([head[0]]) + sign + data)

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""


def start(capsule, *command):
    answer = capsule.call("POST", "/exec", dict(cmd=command[0], args=list(command[1:]), background=True))
    assert answer.status == 202, answer


def start_program(capsule, port):
    start(capsule, "python3", "-c", PROGRAM, str(port))
    wait_open(capsule, port)


def wait_open(capsule, port):
    deadline = time.monotonic() + 30
    while ask(capsule, port).status == 502:
        assert time.monotonic() < deadline, f"port {port} does not open"


def host(capsule, port):
    return f"{port}-{capsule.id}.localhost:{capsule.platform.port}"


def ask(capsule, port, path="/", method="GET", body=None, **headers):
    fields = {"Host": host(capsule, port), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return capsule.platform.request(method, path, body, key=None, headers=fields)


def not_found(capsule):
    return {"sandboxId": capsule.id, "message": "The sandbox was not found", "code": 502}


def test_gateway_http_server(capsule):
    assert capsule.shell("mkdir -p /srv/www/sub && echo hello-from-the-guest > '/srv/www/sub/a b.txt'")["exit_code"] == 0
    start(capsule, "python3", "-m", "http.server", "--bind", "0.0.0.0", "--directory", "/srv/www", "8080")
    wait_open(capsule, 8080)
    answer = ask(capsule, 8080, "/sub/a%20b.txt")
    assert (answer.status, answer.body) == (200, b"hello-from-the-guest\n")
    assert "SimpleHTTP" in answer.headers["Server"]
    # A redirect of the program is right as it is, because it knows the name its user sees.
    assert ask(capsule, 8080, "/sub").headers["Location"] == "/sub/"
    assert ask(capsule, 8080, "/none").status == 404
    assert ask(capsule, 8080, "/", "DELETE").status == 501
    answer = capsule.platform.request("GET", "/sub/a%20b.txt", key=None, headers={
        "E2b-Sandbox-Id": capsule.id, "E2b-Sandbox-Port": "8080"})
    assert (answer.status, answer.body) == (200, b"hello-from-the-guest\n")
    # The API does not answer there, whoever asks.
    assert ask(capsule, 8080, "/v1/capsules", X_API_Key=capsule.platform.key).status == 404


def test_gateway_websocket_and_bodies(capsule):
    start_program(capsule, 3000)
    heard = ask(capsule, 3000, "/x?y=%20", X_API_Key=capsule.platform.key, X_Mine="1").body.decode()
    assert capsule.platform.key not in heard and "/x?y=%20" in heard and "X-Forwarded-For" in heard and "X-Mine" in heard

    connection = websocket.create_connection(f"ws://127.0.0.1:{capsule.platform.port}/ws", host=host(capsule, 3000), timeout=30)
    for text in ("one", "x" * 70_000, "y" * 300, "last"):
        connection.send(text)
        assert connection.recv() == text
    connection.close()
    connection = websocket.create_connection(f"ws://127.0.0.1:{capsule.platform.port}/ws", timeout=30,
                                             header=[f"E2b-Sandbox-Id: {capsule.id}", "E2b-Sandbox-Port: 3000"])
    connection.send("by header")
    assert connection.recv() == "by header"
    connection.close()

    data = os.urandom(MIB) * 64
    answer = ask(capsule, 3000, "/", "POST", data)
    assert answer.body.decode() == hashlib.sha256(data).hexdigest()
    start = time.monotonic()
    answer = ask(capsule, 3000, "/zeros/128")
    assert answer.status == 200 and answer.body == bytes(128 * MIB)
    print(f"128 MiB out of the guest in {time.monotonic() - start:.1f} s")


def test_gateway_envd_with_its_token_only(capsule):
    owner = capsule.call("GET").json()
    assert owner["domain"] == f"localhost:{capsule.platform.port}"
    token = owner["envd_access_token"]
    assert ask(capsule, 49983, "/health").status in (200, 204)
    listing = dict(method="POST", body="{}", Content_Type="application/json")
    assert ask(capsule, 49983, "/process.Process/List", **listing).status == 401
    assert ask(capsule, 49983, "/process.Process/List", X_Access_Token="wrong", **listing).status == 401
    assert ask(capsule, 49983, "/process.Process/List", X_API_Key=capsule.platform.key, **listing).status == 401
    answer = ask(capsule, 49983, "/process.Process/List", X_Access_Token=token, **listing)
    assert answer.status == 200, answer
    for path in ("/init", "/%69nit", "/upgrade"):
        answer = ask(capsule, 49983, path, method="POST", body="{}", X_Access_Token=token)
        assert answer.status == 404 and answer.json()["code"] == 404


def breaks_off(connection):
    """True if the answer on this connection ends without its end."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        return True
    return not data.endswith(b"0\r\n\r\n")


def open_stream(capsule, port):
    connection = socket.create_connection(("127.0.0.1", capsule.platform.port), timeout=60)
    connection.sendall(f"GET /stream HTTP/1.1\r\nHost: {host(capsule, port)}\r\n\r\n".encode())
    data = b""
    while b"line\n" not in data:
        data += connection.recv(65536)
    return connection


def test_gateway_ends_with_the_capsule(platform):
    capsule = platform.create()
    answer = ask(capsule, 8080)
    assert answer.status == 502
    assert answer.json() == {"sandboxId": capsule.id, "message": "The sandbox is running but port is not open",
                             "port": 8080, "code": 502}
    page = ask(capsule, 8080, Accept="text/html,application/xhtml+xml")
    assert page.status == 502 and page.headers["Content-Type"].startswith("text/html")
    start_program(capsule, 3000)

    with open_stream(capsule, 3000) as stream:
        assert capsule.call("POST", "/pause").status == 200
        assert breaks_off(stream)
    answer = ask(capsule, 3000)
    assert (answer.status, answer.json()) == (502, not_found(capsule))
    assert capsule.call("POST", "/resume", headers={"Prefer": "wait=60"}).status == 200
    wait_open(capsule, 3000)
    token = capsule.call("GET").json()["envd_access_token"]
    assert ask(capsule, 49983, "/envs", X_Access_Token=token).status == 200

    with open_stream(capsule, 3000) as stream:
        talk = websocket.create_connection(f"ws://127.0.0.1:{platform.port}/ws", host=host(capsule, 3000), timeout=30)
        talk.send("still here")
        assert talk.recv() == "still here"
        capsule.destroy()
        assert breaks_off(stream)
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionResetError)):
            talk.recv()
    answer = ask(capsule, 49983, "/health")
    assert (answer.status, answer.json()) == (502, not_found(capsule))


def test_gateway_idle_capsule_stays_while_its_port_is_used(platform):
    with platform.create(timeout_sec=3) as capsule:
        start_program(capsule, 3000)
        with open_stream(capsule, 3000):
            time.sleep(5)
            assert capsule.status() == "running"
        deadline = time.monotonic() + 30
        while capsule.status() != "paused":
            assert time.monotonic() < deadline
            time.sleep(0.2)


class Roles(Platform):
    """`wrenn agent` on TCP and `wrenn cp`, as on two machines."""

    def __init__(self, directory):
        super().__init__(str(directory))
        self.agent_port = free_port()
        self.agent = None
        # Kernel and images of the other agent of this machine; nothing ever writes to them.
        for shared in ("kernels", "images", "acceleration.json"):
            if os.path.exists(os.path.join(DIR, shared)):
                os.symlink(os.path.join(DIR, shared), os.path.join(self.directory, shared))
        self.log = open(os.path.join(self.directory, "log"), "w+")

    def run(self, token, *arguments):
        return subprocess.Popen([BINARY, "--dir", self.directory, *arguments], stdin=subprocess.DEVNULL,
                                stdout=self.log, stderr=self.log, env={**os.environ, "WRENN_AGENT_TOKEN": token})

    def wait_for(self, up):
        for _ in range(600):
            assert self.agent.poll() is None, self.log_text()
            try:
                if up():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log_text())

    def start_agent(self, token):
        self.agent = self.run(token, "agent", "--listen", f"127.0.0.1:{self.agent_port}")
        self.wait_for(lambda: self.agent_status() == 401)

    def start_cp(self, token):
        self.process = self.run(token, "cp", "--listen", f"127.0.0.1:{self.port}",
                                "--agent-address", f"127.0.0.1:{self.agent_port}")
        self.wait_for(lambda: self.request("GET", "/health", key=None).status == 200)
        if self.key is None:
            self.key = self.add_key()

    def add_key(self):
        key = "wrn_" + secrets.token_hex(16)
        with sqlite3.connect(os.path.join(self.directory, "wrenn.db"), timeout=5) as database:
            database.execute("INSERT INTO teams (id, name, slug, created_at) VALUES (?, 'T', 't', 1)", ("team-" + "1" * 25,))
            database.execute("INSERT INTO team_api_keys (id, team_id, name, key_hash, key_prefix, created_at) "
                             "VALUES (?, ?, 'k', ?, ?, 1)",
                             ("key-" + "1" * 25, "team-" + "1" * 25, hashlib.sha256(key.encode()).hexdigest(), key[:10]))
        return key

    def stop_cp(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, self.log_text()

    def end(self):
        for process in (self.process, self.agent):
            if process and process.poll() is None:
                process.terminate()
                process.wait(60)

    def agent_status(self, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.agent_port, timeout=10)
        connection.request("POST", "/hostagent.v1.HostAgentService/ListSandboxes", "{}", headers)
        return connection.getresponse().status


def test_gateway_with_roles_apart(tmp_path):
    """Over TCP the agent asks for its token, and a control plane that has it reaches ports as usual."""
    roles = Roles(tmp_path)
    try:
        roles.start_agent("a-secret-of-both")
        token = "X-Wrenn-Agent-Token"
        assert roles.agent_status() == 401
        assert roles.agent_status(**{token: "wrong"}) == 401
        assert roles.agent_status(**{token: "a-secret-of-both"}) == 200

        roles.start_cp("another")
        answer = roles.request("POST", "/v1/capsules", {}, headers={"Prefer": "wait=60"})
        assert answer.status >= 500, answer
        roles.stop_cp()

        roles.start_cp("a-secret-of-both")
        with roles.create() as capsule:
            start_program(capsule, 3000)
            heard = ask(capsule, 3000, "/x").body.decode()
            assert "/x" in heard and "a-secret-of-both" not in heard
            with open_stream(capsule, 3000) as stream:
                assert capsule.call("POST", "/pause").status == 200
                assert breaks_off(stream)
    finally:
        roles.end()
