"""A small file system of a test's own that can be filled to the last block, and databases on it."""
import os
import shutil
import sqlite3
import subprocess
import tempfile

from own_database import PostgresConnection
from own_server import PROGRAMS, OwnServer

CAN_MOUNT = os.getuid() == 0 and os.path.exists("/dev/loop-control") and shutil.which("mkfs.ext4") is not None
WHY_NOT = "a small disk is mounted: that needs root, loop devices and mkfs.ext4"


class SmallDisk:
    def __init__(self, bytes_=48 << 20):
        self.place = tempfile.mkdtemp(prefix="wrenn-disk-")
        os.chmod(self.place, 0o755)
        self.path, self.filler = f"{self.place}/disk", f"{self.place}/disk/filler"
        os.mkdir(self.path)
        image = f"{self.place}/disk.img"
        with open(image, "wb") as file:
            file.truncate(bytes_)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-b", "4096", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.path], check=True)

    def fill(self):
        with open(self.filler, "ab") as file:
            size = 1 << 30
            while size >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                except OSError:
                    size //= 2

    def free(self):
        os.unlink(self.filler)

    def remove(self):
        subprocess.run(["umount", self.path], check=True)
        shutil.rmtree(self.place)


def fill_up(connection, insert, error):
    """What the files of the database have left within themselves; in ever smaller steps."""
    for size in (1 << 20, 1 << 16, 1 << 12, 1 << 8):
        try:
            while True:
                insert(connection, size)
        except error:
            pass


class Closing(sqlite3.Connection):
    """Whoever is still connected keeps the disk from being unmounted."""

    def __exit__(self, *what):
        super().__exit__(*what)
        self.close()


class SmallSqlite:
    def __init__(self):
        self.disk = SmallDisk()
        self.file = f"{self.disk.path}/wrenn.db"
        self.environment = {"DATABASE_URL": f"sqlite://{self.file}"}

    def connect(self):
        connection = sqlite3.connect(self.file, timeout=5, factory=Closing)
        connection.row_factory = sqlite3.Row
        return connection

    def fill(self):
        connection = sqlite3.connect(self.file, timeout=30, isolation_level=None)
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS filler (n INTEGER PRIMARY KEY, content BLOB)")
            connection.execute("INSERT INTO filler VALUES (0, 'x')")
            self.disk.fill()
            # The rows lie in the log of writes and have no room in the database: the log cannot begin anew.
            fill_up(connection, lambda c, size: c.execute("INSERT INTO filler (content) VALUES (zeroblob(?))", (size,)),
                    sqlite3.OperationalError)
            # A write of one page is the least there is.
            fill_up(connection, lambda c, _: c.execute("UPDATE filler SET content = 'y' WHERE n = 0"), sqlite3.OperationalError)
        finally:
            connection.close()

    def free(self):
        self.disk.free()

    def remove(self):
        self.disk.remove()


class SmallPostgres:
    """Its tables are on the small disk, and its log of writes is not: without that the server would end, and that is
    test_database_loss.py."""

    def __init__(self):
        import psycopg2
        self.full = psycopg2.errors.DiskFull
        self.disk = SmallDisk()
        self.server = OwnServer()
        directory = f"{self.disk.path}/tables"
        os.mkdir(directory, 0o700)
        if os.getuid() == 0:
            shutil.chown(directory, "nobody", "nogroup")
        connection = PostgresConnection(self.server.url).connection
        connection.autocommit = True  # what CREATE TABLESPACE asks for
        connection.cursor().execute(f"CREATE TABLESPACE small LOCATION '{directory}'")
        connection.close()
        self.url = f"{self.server.url}&options=-cdefault_tablespace%3Dsmall"
        self.environment = {"DATABASE_URL": self.url}

    def connect(self):
        return PostgresConnection(self.url)

    def fill(self):
        connection = PostgresConnection(self.url).connection
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS filler (content TEXT)")
        self.disk.fill()
        fill_up(cursor, lambda c, size: c.execute("INSERT INTO filler VALUES (repeat('x', %s))", (size,)), self.full)
        connection.close()

    def free(self):
        self.disk.free()

    def remove(self):
        self.server.remove()
        self.disk.remove()


SMALL_DATABASES = [SmallSqlite] + [SmallPostgres] * bool(PROGRAMS)
