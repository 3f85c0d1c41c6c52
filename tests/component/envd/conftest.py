import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from envd import Envd  # noqa: E402


@pytest.fixture(scope="module")
def envd():
    """One envd for a file of tests; whatever it started must be gone with it."""
    one = Envd()
    yield one
    one.stop()


@pytest.fixture
def fresh():
    """An envd of its own, for tests that change what all requests see."""
    one = Envd()
    yield one
    one.stop()
