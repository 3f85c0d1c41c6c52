"""Control plane and agent as the two processes that they are on more than one machine, so that either can die alone."""

import hashlib
import os
import secrets
import sqlite3
import subprocess
import tempfile
import time

from wrenn_platform import BINARY, START_SECONDS, Platform, drop, end, free_port


class Split(Platform):
    """start() and stop() are for the whole; `agent` and `process` (the control plane) are for those who do worse."""

    def __init__(self, directory, cp_options=(), agent_options=(), binary=BINARY, environment=None):
        super().__init__(directory, binary=binary, environment=environment)
        self.cp_options = cp_options
        self.agent_options = [*agent_options]
        for option, value in zip(self.extra[::2], self.extra[1::2]):  # of `wrenn dev`, as tests/lab gives them
            if option in ("--acceleration", "--disk"):
                self.agent_options += [option, value]
        self.agent = self.agent_log = None

    def start(self):
        self.start_agent()
        self.start_control_plane()
        return self

    def start_agent(self):
        self.agent_log = open(os.path.join(tempfile.gettempdir(), f"wrenn-e2e-agent-{self.port}.log"), "w+")
        self.agent = subprocess.Popen(
            [self.binary, "--log-level", "debug", "--dir", self.directory, "agent", "--ready-sandboxes", "0", *self.agent_options],
            stdin=subprocess.DEVNULL, stdout=self.agent_log, stderr=self.agent_log, env=self.environment)
        deadline = time.monotonic() + START_SECONDS
        while "the agent listens" not in self.agent_text():
            assert self.agent.poll() is None and time.monotonic() < deadline, self.agent_text()
            time.sleep(0.02)

    def start_control_plane(self):
        self.port = free_port()
        self.log = open(os.path.join(tempfile.gettempdir(), f"wrenn-e2e-{self.port}.log"), "w+")
        self.process = subprocess.Popen(
            [self.binary, "--log-level", "debug", "--dir", self.directory, "cp", "--listen", f"127.0.0.1:{self.port}", *self.cp_options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.environment)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.request("GET", "/health", key=None, timeout=2).status == 200:
                    break
            except OSError:
                pass
            assert self.process.poll() is None and time.monotonic() < deadline, self.log_text()
            time.sleep(0.02)
        if self.key is None:
            self.key = self.add_key()

    def add_key(self):
        """A team with a key, as `wrenn dev` would make them."""
        key = "wrn_" + secrets.token_hex(16)
        digits = "0" + "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(24))
        with sqlite3.connect(os.path.join(self.directory, "wrenn.db"), timeout=5) as database:
            database.execute("INSERT INTO teams (id, name, slug, created_at) VALUES (?, 'T', ?, 1)",
                             (f"team-{digits}", secrets.token_hex(6)))
            database.execute("INSERT INTO team_api_keys (id, team_id, name, key_hash, key_prefix, created_at) VALUES (?, ?, 'k', ?, ?, 1)",
                             (f"key-{digits}", f"team-{digits}", hashlib.sha256(key.encode()).hexdigest(), key[:10]))
        return key

    def agent_text(self, last=6000):
        with open(self.agent_log.name) as file:
            return file.read()[-last:]

    def kill_control_plane(self):
        self.process.kill()
        self.process.wait()
        self.log = drop(self.log)

    def kill_agent(self):
        self.agent.kill()
        self.agent.wait()
        self.agent_log = drop(self.agent_log)

    def stop(self):
        """The control plane first, as `wrenn dev` does."""
        super().stop()
        end(self.agent, "the agent", self.agent_text)
        self.agent_log = drop(self.agent_log)
