"""Waiting for what happens beside a test."""
import threading
import time


def in_background(work):
    """Runs `work`, returns a function that waits for its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(work()), daemon=True)
    thread.start()

    def wait(seconds=20):
        thread.join(seconds)
        assert result, "no answer"
        return result[0]
    return wait


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
