"""The database of one control plane: a SQLite file or, below tests/postgres.sh, a schema of its own."""
import os
import secrets
import sqlite3

SERVER = os.environ.get("WRENN_TEST_POSTGRES")


class OwnDatabase:
    def __init__(self, directory):
        self.file = os.path.join(directory, "wrenn.db")
        self.environment = {}
        if SERVER:
            schema = "cp_" + secrets.token_hex(6)
            with PostgresConnection(SERVER) as connection:
                connection.execute("CREATE SCHEMA " + schema)
            self.url = f"{SERVER}&options=-csearch_path%3D{schema}"
            self.environment["DATABASE_URL"] = self.url

    def connect(self):
        """Use it with `with`: what was executed is committed at the end. Placeholders are question marks."""
        if SERVER:
            return PostgresConnection(self.url)
        connection = sqlite3.connect(self.file, timeout=5)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


class PostgresConnection:
    def __init__(self, url):
        import psycopg2
        import psycopg2.extras
        self.connection = psycopg2.connect(url, cursor_factory=psycopg2.extras.DictCursor)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.connection.commit()
        self.connection.close()

    def execute(self, sql, values=()):
        cursor = self.connection.cursor()
        cursor.execute(sql.replace("?", "%s"), values)
        return cursor
