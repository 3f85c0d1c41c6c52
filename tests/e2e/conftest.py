import os

import pytest

from census import census, census_soon
from wrenn_platform import DIR, Platform


@pytest.fixture(scope="session")
def platform():
    running = Platform().start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def nothing_left(request):
    """After each test, whatever became of it, the host is as it was before."""
    before = census(DIR)
    yield
    if "platform" in request.fixturenames:
        running = request.getfixturevalue("platform")
        for capsule in running.request("GET", "/v1/capsules").json():
            running.request("DELETE", f"/v1/capsules/{capsule['id']}")
    left = census_soon(DIR, before)
    assert left == {}, f"left on the host: {left}"


@pytest.fixture
def capsule(platform):
    with platform.create() as running:
        check_mechanisms(running)
        yield running


def check_mechanisms(capsule):
    """Where the caller says what the disks of capsules must be (tests/lab), that they really are."""
    wanted = os.environ.get("WRENN_TEST_DISK")
    if wanted:
        found = "dm_snapshot" if os.path.exists(f"/dev/mapper/wrenn-{capsule.id}") else "qcow2"
        assert found == wanted, f"the disk of {capsule.id} is {found}, but this run is about {wanted}"


def pytest_runtest_makereport(item, call):
    if call.excinfo is not None and "platform" in getattr(item, "funcargs", {}):
        print(f"\n--- end of the log of wrenn dev\n{item.funcargs['platform'].log_text()}")
