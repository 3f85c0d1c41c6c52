"""rows.py DATABASE COUNT: makes COUNT paused capsules of a host that does not exist; 0 takes them away again."""

import sqlite3
import sys
import time

HOST = "host-" + "0" * 24 + "1"


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    database = sqlite3.connect(path, timeout=10)
    with database:
        database.execute("DELETE FROM sandboxes WHERE host_id = ?", (HOST,))
        (team,) = database.execute("SELECT team_id FROM team_api_keys ORDER BY created_at DESC LIMIT 1").fetchone()
        now = int(time.time() * 1e6)
        for number in range(count):
            database.execute(
                "INSERT INTO sandboxes (id, team_id, host_id, template, template_id, template_team_id, status, vcpus, memory_mb,"
                " disk_size_mb, timeout_sec, host_ip, metadata, created_at, started_at, last_active_at, last_updated)"
                " VALUES (?, ?, ?, 'minimal-debian', ?, ?, 'paused', 1, 512, 5120, 300, '10.11.0.1',"
                """ '{"agent_version":"0.1.0","envd_version":"0.6.13","kernel_version":"6.1.0"}', ?, ?, ?, ?)""",
                (f"cl-{number:025d}", team, HOST, "0" * 24 + "4", "team-" + "0" * 25, now + number, now, now, now))
    database.close()


main()
