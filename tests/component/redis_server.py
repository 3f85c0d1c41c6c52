"""A real Redis server for tests."""
import signal
import socket
import subprocess
import time

STREAM = "wrenn:events"


class Redis:
    """A server in a directory of its own; nothing of it stays."""

    def __init__(self, folder, *options):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
                        "--daemonize", "no", "--appendonly", "yes", *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while "PONG" not in self.cli("PING") and "NOAUTH" not in self.cli("PING"):
            assert time.monotonic() < until and self.process.poll() is None
            time.sleep(0.02)

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=10)
        return done.stdout + done.stderr

    def entries(self, db="0"):
        """[(id, field, value)]"""
        lines = self.cli("-n", db, "XRANGE", STREAM, "-", "+").split("\n")[:-1]
        return list(zip(lines[0::3], lines[1::3], lines[2::3])) if lines != [""] else []

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(10)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"
