"""A host says that something changed on it, and the reconciler looks at once. Its period is a minute in these tests: what
they see within seconds, no period explains."""
import threading
import time

import pytest
from conftest import end, make
from fake_agent import FakeAgent
from waiting import in_background, wait_until


class News:
    """WaitForChanges of an agent."""

    def __init__(self, epoch="first"):
        self.epoch, self.revision = epoch, 0
        self.moved = threading.Condition()
        self.waiting = 0

    def __call__(self, agent, request):
        with self.moved:
            self.waiting += 1
            self.moved.wait_for(lambda: (self.epoch, self.revision) != (request["epoch"], request["revision"]),
                                request["waitMs"] / 1000)
            self.waiting -= 1
            return {"epoch": self.epoch, "revision": self.revision}

    def tell(self):
        with self.moved:
            self.revision += 1
            self.moved.notify_all()


@pytest.fixture
def told():
    """A control plane that hardly looks by itself, and an agent that tells."""
    plane = make("--worker-reconcile-period", "1m")
    plane.news = News()
    plane.agent.on["WaitForChanges"] = plane.news
    assert plane.stop() == 0  # the first call found an agent that did not know it
    plane.agent.calls.clear()
    plane.start()
    wait_until(lambda: plane.news.waiting == 1)
    yield plane
    end(plane)


def restart(plane):
    assert plane.stop() == 0
    plane.start()


def end_machine(agent, capsule, reason="QEMU was killed by signal 9"):
    agent.sandboxes[capsule] = {**agent.sandboxes[capsule], "status": "error", "reason": reason}


def test_the_end_of_a_machine_is_told(told):
    capsules = [told.create() for _ in range(3)]
    for capsule in capsules:
        end_machine(told.agent, capsule)
        told.news.tell()
        row = told.wait_for_row(capsule, "error")
        assert row["status_reason"] == "QEMU was killed by signal 9"


def test_many_changes_are_few_rounds(told):
    capsules = [told.create() for _ in range(10)]
    before = len(told.agent.called("ListSandboxes"))
    since = time.monotonic()
    for capsule in capsules:
        end_machine(told.agent, capsule)
        told.news.tell()
        time.sleep(0.06)  # as long as the pause between two calls: each is told
    for capsule in capsules:
        told.wait_for_row(capsule, "error")
    rounds = len(told.agent.called("ListSandboxes")) - before
    assert rounds <= 2 + (time.monotonic() - since) / 0.5, rounds


def test_nothing_new_is_no_round(told):
    wait_until(lambda: len(told.agent.called("ListSandboxes")) >= 3)  # at the start, the first round, and with the first answer
    time.sleep(1)
    before = len(told.agent.called("ListSandboxes"))
    told.create()
    time.sleep(2)
    assert len(told.agent.called("ListSandboxes")) == before


def test_another_agent_is_news(told):
    """An agent that was restarted counts anew, and has not told what it found."""
    capsule = told.create()
    port, sandboxes = told.agent.port, told.agent.sandboxes
    told.agent.stop()
    told.agent = FakeAgent(port)
    told.agent.sandboxes = sandboxes
    end_machine(told.agent, capsule, "the host or its VMM ended while the agent was not running")
    told.news = told.agent.on["WaitForChanges"] = News("second")
    told.wait_for_row(capsule, "error")


def test_an_agent_that_does_not_know_the_call(slow):
    """An older version: it is not asked again and again, and everything else works."""
    wait_until(lambda: slow.agent.called("WaitForChanges"))
    capsule = slow.create()
    time.sleep(1.5)
    assert len(slow.agent.called("WaitForChanges")) == 1
    assert slow.delete(f"/v1/capsules/{capsule}").status == 204


def test_an_agent_that_answers_at_once_is_no_busy_loop(slow):
    slow.agent.on["WaitForChanges"] = lambda agent, request: {"epoch": "same", "revision": request["revision"] + 1}
    since = time.monotonic()
    restart(slow)
    time.sleep(2)
    calls, rounds = (len(slow.agent.called(method)) for method in ("WaitForChanges", "ListSandboxes"))
    took = time.monotonic() - since
    assert calls <= 10 + took / 0.05 and rounds <= 6 + took / 0.5, (calls, rounds, took)


def test_the_end_does_not_wait_for_news(told):
    since = time.monotonic()
    restart(told)
    assert time.monotonic() - since < 10  # of a call of a minute
    told.news.tell()  # the fake's thread still holds the old call


def interrupted(plane, method, begin):
    """The row of what a control plane had begun that is gone, while its agent never answered."""
    plane.agent.on[method] = lambda agent, request: time.sleep(60)
    in_background(begin)
    wait_until(lambda: plane.agent.called(method))
    capsule = plane.agent.called(method)[-1]["sandboxId"]
    plane.process.kill()
    plane.stop()
    del plane.agent.on[method]
    return capsule


def ignore_end(work):
    def attempt():
        try:
            work()
        except OSError:
            pass
    return attempt


def test_what_an_earlier_process_had_begun_has_its_grace(slow):
    """The agent may still be at work on it; when the grace is over, that is when it is settled, not at the next period."""
    capsule = slow.create()
    interrupted(slow, "PauseSandbox", ignore_end(lambda: slow.post(f"/v1/capsules/{capsule}/pause")))
    slow.start()
    assert slow.row(capsule)["status"] == "pausing"
    row = slow.wait_for_row(capsule, "running", seconds=20)
    assert row["status_reason"] == "transient_timeout_inferred"


def test_a_young_agent_works_on_nothing_old(slow):
    """Both are younger than the row: settled before the first request is answered."""
    capsule = slow.create()
    interrupted(slow, "PauseSandbox", ignore_end(lambda: slow.post(f"/v1/capsules/{capsule}/pause")))
    time.sleep(0.05)
    begun = time.monotonic()
    slow.agent.on["ListSandboxes"] = lambda agent, request: {
        "sandboxes": list(agent.sandboxes.values()), "agentUpMs": 1 + int((time.monotonic() - begun) * 1000)}
    slow.start()
    assert slow.row(capsule)["status"] == "running"


def test_an_old_agent_may_still_be_at_work(slow):
    capsule = slow.create()
    interrupted(slow, "PauseSandbox", ignore_end(lambda: slow.post(f"/v1/capsules/{capsule}/pause")))
    slow.agent.on["ListSandboxes"] = lambda agent, request: {"sandboxes": list(agent.sandboxes.values()), "agentUpMs": 3_600_000}
    slow.start()
    assert slow.row(capsule)["status"] == "pausing"
    slow.wait_for_row(capsule, "running", seconds=20)


def test_an_agent_that_works_on_and_on_is_asked_until_it_is_done(slow):
    """A row that nobody here works on, and an agent that does: looked at every second."""
    capsule = slow.create()
    interrupted(slow, "PauseSandbox", ignore_end(lambda: slow.post(f"/v1/capsules/{capsule}/pause")))
    slow.agent.sandboxes[capsule]["status"] = "pausing"
    slow.start()
    time.sleep(7)
    assert slow.row(capsule)["status"] == "pausing"
    slow.agent.sandboxes[capsule]["status"] = "paused"
    slow.wait_for_row(capsule, "paused", seconds=10)
