"""Rows follow what the host says, and one capsule that cannot be mended keeps no other from it."""
from fake_agent import Fail
from waiting import wait_until


def age(plane, capsule):
    """The grace of its row, in which another process may be at work on it, is over."""
    with plane.database() as database:
        database.execute("UPDATE sandboxes SET last_updated = last_updated - 10000000 WHERE id = ?", (capsule,))


def end_machine(agent, capsule, reason="QEMU was killed by signal 9"):
    agent.sandboxes[capsule] = {**agent.sandboxes[capsule], "status": "error", "reason": reason}


def refuse_to_destroy(plane, stuck):
    def destroy(agent, request):
        if request["sandboxId"] == stuck:
            raise Fail("internal", "a process does not die")
        return agent.destroy(request)
    plane.agent.on["DestroySandbox"] = destroy


def asked_to_destroy(plane, capsule):
    return len([request for request in plane.agent.called("DestroySandbox") if request["sandboxId"] == capsule])


def test_what_a_guest_said_last(plane):
    """Hostile text: PostgreSQL stores no NUL, and nobody wants the rest on a terminal."""
    capsule = plane.create()
    end_machine(plane.agent, capsule, "the guest switched itself off; end of the guest's console: a\0b\x1b[2J\x7f\r\nbye\xff")
    row = plane.wait_for_row(capsule, "error")
    assert row["status_reason"] == "the guest switched itself off; end of the guest's console: a b [2J   bye\xff"


def test_a_row_that_cannot_be_mended(plane):
    first, stuck, last, left = [plane.create() for _ in range(4)]
    gone = plane.agent.sandboxes[left]
    assert plane.delete(f"/v1/capsules/{left}").status == 204
    refuse_to_destroy(plane, stuck)
    assert plane.delete(f"/v1/capsules/{stuck}").status == 502
    age(plane, stuck)
    wait_until(lambda: asked_to_destroy(plane, stuck) >= 3)  # by the request, and by rounds of the reconciler

    for capsule in (first, last):
        end_machine(plane.agent, capsule)
    plane.agent.sandboxes[left] = gone  # which its row says is no more
    for capsule in (first, last):
        plane.wait_for_row(capsule, "error")
    wait_until(lambda: left not in plane.agent.sandboxes)
    assert plane.row(stuck)["status"] == "stopping"
    del plane.agent.on["DestroySandbox"]
    plane.wait_for_row(stuck, "stopped")


def test_a_capsule_without_a_row_that_cannot_be_destroyed(plane):
    stuck, left = plane.create(), plane.create()
    gone = dict(plane.agent.sandboxes)
    for capsule in (stuck, left):
        assert plane.delete(f"/v1/capsules/{capsule}").status == 204
    refuse_to_destroy(plane, stuck)
    plane.agent.sandboxes.update(gone)
    wait_until(lambda: left not in plane.agent.sandboxes)
    wait_until(lambda: asked_to_destroy(plane, stuck) >= 2)


def test_a_row_of_a_lost_host_that_cannot_be_changed(hasty):
    capsules = [hasty.create() for _ in range(6)]
    with hasty.database() as database:  # of the first two, one can be missing
        database.execute("CREATE UNIQUE INDEX one_of_two ON sandboxes (team_id) WHERE status = 'missing' AND id IN "
                         f"('{capsules[0]}', '{capsules[1]}')")
    hasty.agent.stop()
    for capsule in capsules[2:]:
        hasty.wait_for_row(capsule, "missing")
    wait_until(lambda: sorted(hasty.row(capsule)["status"] for capsule in capsules[:2]) == ["missing", "running"])
