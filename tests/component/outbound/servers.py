"""Small servers on loopback that do what a test says, and the program that talks to them."""

import json
import os
import socket
import subprocess
import threading

BUILD = os.path.join(os.path.dirname(__file__), "../../..", os.environ.get("WRENN_BUILD_DIR", "build"))
PROBE = os.path.join(BUILD, "tests/component/outbound/outbound_probe")
WAIT = 10  # seconds that a peer of a test may take for anything


class Server:
    """Calls talk(connection, number) for each connection, on a thread of its own; `number` counts from 1."""

    def __init__(self, talk, host="127.0.0.1", tls=None, port=0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, port), family=family)
        self.port = self.socket.getsockname()[1]
        self.talk = talk
        self.tls = tls
        self.connections = 0
        self.over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection, number):
        connection.settimeout(WAIT)
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.talk(connection, number)
        except OSError:  # the client has left
            pass
        finally:
            connection.close()

    def close(self):
        self.over.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_request(stream):
    """(request line, fields in lower case, body) of the next request; None at the end of the connection."""
    line = stream.readline()
    if not line:
        return None
    fields = {}
    while (field := stream.readline().rstrip(b"\r\n")):
        name, value = field.split(b":", 1)
        fields[name.decode().lower()] = value.strip().decode()
    body = stream.read(int(fields.get("content-length", "0")))
    return line.decode().rstrip(), fields, body


def answer(body=b"", status="200 OK", fields=()):
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


class HttpServer(Server):
    """Answers every request with what `reply(line, fields, body)` returns as bytes; keeps the requests."""

    def __init__(self, reply=lambda *_: answer(b"ok"), **options):
        self.requests = []
        self.reply = reply
        super().__init__(self._talk, **options)

    def _talk(self, connection, _):
        stream = connection.makefile("rb")
        while (request := read_request(stream)):
            self.requests.append(request)
            connection.sendall(self.reply(*request))


class Probe:
    """The program under test; one Client as long as it lives."""

    def __init__(self, ca_file="", *fixed_names):
        self.process = subprocess.Popen([PROBE, ca_file, *fixed_names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def end(self):
        line = self.process.stdout.readline()
        assert line, f"the probe has ended with code {self.process.wait(WAIT)}"
        return json.loads(line)

    def ask(self, url=None, **request):
        self.begin({"url": url, **request} if url else request)
        return self.end()

    def ask_all(self, requests):
        self.begin(requests)
        return self.end()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(WAIT) == 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()
