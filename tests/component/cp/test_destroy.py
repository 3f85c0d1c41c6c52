"""A destroy that meets other operations: one end, told once, and nothing is left on the host."""
import time

from own_database import SERVER
from waiting import in_background


def ends_told(plane, capsule):
    with plane.database() as database:
        return database.execute("SELECT COUNT(*) FROM audit_logs WHERE resource_id = ? AND action = 'destroy'", (capsule,)).fetchone()[0]


def test_several_that_begin_at_once(slow):
    """Each has looked at the row before one of them has changed it: another must not keep that one from its end."""
    capsule = slow.create()
    with slow.database() as database:
        # All of them wait for this, each with its change.
        database.execute("SELECT 1 FROM sandboxes WHERE id = ? FOR UPDATE" if SERVER else "BEGIN IMMEDIATE", (capsule,) if SERVER else ())
        answers = [in_background(lambda: slow.delete(f"/v1/capsules/{capsule}")) for _ in range(3)]
        time.sleep(0.5)
    assert [wait().status for wait in answers] == [204] * 3
    assert slow.row(capsule)["status"] == "stopped"
    assert ends_told(slow, capsule) == 1
