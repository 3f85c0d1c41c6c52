import os

import pytest

from census import census, census_soon, kill_machines
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


@pytest.fixture
def directory(tmp_path):
    """A state directory of its own, with the kernels and images of the common one."""
    os.chmod(tmp_path, 0o755)
    state = tmp_path / "state"
    state.mkdir()
    for name in ("kernels", "images"):
        os.symlink(os.path.join(DIR, name), state / name)
    return str(state)


@pytest.fixture
def start(directory):
    """Starts wrenn on the directory, as often as a test likes, one at a time; what still runs at the end is stopped."""
    started = []

    def start_one(*extra, spares=0):
        # No machines but those that the test asks for: it counts them while no agent is there to tell which are spares.
        platform = Platform(directory, extra=extra, environment={"WRENN_READY_SANDBOXES": str(spares)})
        started.append(platform)
        return platform.start()

    yield start_one
    for platform in started:
        if platform.process and platform.process.poll() is None:
            platform.stop()
    kill_machines(directory)


def check_mechanisms(capsule):
    """Where the caller says what the disks of capsules must be (tests/lab), that they really are."""
    wanted = os.environ.get("WRENN_TEST_DISK")
    if wanted:
        found = "dm_snapshot" if os.path.exists(f"/dev/mapper/wrenn-{capsule.id}") else "qcow2"
        assert found == wanted, f"the disk of {capsule.id} is {found}, but this run is about {wanted}"


def pytest_runtest_makereport(item, call):
    if call.excinfo is not None and "platform" in getattr(item, "funcargs", {}):
        print(f"\n--- end of the log of wrenn dev\n{item.funcargs['platform'].log_text()}")
