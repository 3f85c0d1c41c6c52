import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from control_plane import ControlPlane  # noqa: E402
from fake_agent import FakeAgent  # noqa: E402
from webhook_receiver import WebhookReceiver  # noqa: E402


def pytest_collection_modifyitems(items):
    """What judges the whole run comes last."""
    items.sort(key=lambda item: item.path.name == "test_documented_answers.py")


def make(*flags, mails=False):
    agent = FakeAgent()
    plane = ControlPlane(agent.address, *flags, mails=mails)
    plane.agent = agent
    return plane


def end(plane):
    """It must have lived until now and must end by itself when told; its log must hold no surprise."""
    alive = plane.process.poll() is None
    code = plane.stop()
    log = plane.log_text()
    plane.agent.stop()
    plane.remove()
    assert alive, log[-4000:]
    assert code == 0, f"exit code {code}\n{log[-4000:]}"
    assert "task failed" not in log, log[-4000:]


@pytest.fixture(scope="module")
def shared():
    """One control plane for a file of tests that do not bend its agent for good."""
    plane = make()
    yield plane
    end(plane)


@pytest.fixture
def plane():
    """A control plane and an agent of its own."""
    one = make()
    yield one
    end(one)


@pytest.fixture
def impatient():
    """As `plane`, but create and resume answer within 200 ms."""
    one = make("--capsule-answer-within", "200ms")
    yield one
    end(one)


@pytest.fixture
def hasty():
    """As `plane`, but a host is lost after a second of silence."""
    one = make("--worker-host-lost-after", "1s")
    yield one
    end(one)


@pytest.fixture
def slow():
    """As `plane`, but the reconciler stays out of the way."""
    one = make("--worker-reconcile-period", "1m")
    yield one
    end(one)


@pytest.fixture
def receiver():
    """A server on loopback that is told of events."""
    one = WebhookReceiver()
    yield one
    one.stop()
