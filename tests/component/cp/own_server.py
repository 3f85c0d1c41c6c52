"""A PostgreSQL of a test's own."""
import glob
import os
import shutil
import signal
import subprocess
import tempfile

from own_database import PostgresConnection
from waiting import wait_until

PROGRAMS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))


class OwnServer:
    """A PostgreSQL that a test may stop; it listens on a Unix socket only."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="wrenn-pg-")
        # The server refuses to run as root.
        self.user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if os.getuid() == 0 else []
        if self.user:
            shutil.chown(self.place, "nobody", "nogroup")
        self.run("initdb", "--pgdata", f"{self.place}/data", "--username", "wrenn", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
        self.url = f"postgres://wrenn@/postgres?host={self.place}"
        self.environment = {"DATABASE_URL": self.url}
        self.start()

    def run(self, program, *arguments):
        subprocess.run([*self.user, f"{PROGRAMS[-1]}/{program}", *arguments], check=True, capture_output=True, timeout=60)

    def start(self):
        with open(f"{self.place}.log", "ab") as log:
            self.process = subprocess.Popen([*self.user, f"{PROGRAMS[-1]}/postgres", "-D", f"{self.place}/data", "-k", self.place,
                                             "-c", "listen_addresses="], stdout=log, stderr=log)

        def answers():
            assert self.process.poll() is None
            return subprocess.run([f"{PROGRAMS[-1]}/pg_isready", "-q", "-h", self.place], timeout=10).returncode == 0
        wait_until(answers, 30)

    def stop(self, number=signal.SIGINT):  # SIGINT: at once and in order; SIGQUIT: as a crash
        self.process.send_signal(number)
        self.process.wait(30)

    def connect(self):
        return PostgresConnection(self.url)

    def remove(self):
        self.stop()
        shutil.rmtree(self.place, ignore_errors=True)
        os.unlink(f"{self.place}.log")
