"""A receiver of webhooks on loopback: it checks signatures, keeps what it got, and can misbehave."""
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Received:
    def __init__(self, headers, body):
        self.headers, self.body = headers, body
        self.json = json.loads(body)
        self.at = time.monotonic()

    @property
    def resource(self):
        return self.json["resource"]["id"]

    def is_signed_with(self, secret):
        text = self.headers["X-Wrenn-Timestamp"].encode() + b"." + self.body
        return self.headers["X-WRENN-SIGNATURE"] == "sha256=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


class WebhookReceiver:
    def __init__(self, tls=None):
        self.tls = tls         # a context of ssl; without: plain HTTP
        self.all = []          # every attempt
        self.accepted = []     # those answered with 2xx
        self.answer = lambda received: 200  # a status, a (status, headers), or nothing: no answer at all
        self.changed = threading.Condition()
        self.port = 0
        self.server = None
        self.start()

    def start(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                received = Received(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                received.path = self.path
                with receiver.changed:
                    receiver.all.append(received)
                answer = receiver.answer(received)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                if 200 <= status < 300:
                    with receiver.changed:
                        receiver.accepted.append(received)
                with receiver.changed:
                    receiver.changed.notify_all()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        """Nobody listens any more; start() begins again on the same port."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    def wait_for(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition(self):
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self.accepted)} accepted of {len(self.all)}"
                self.changed.wait(min(left, 0.1))
