"""Runs the suites of this folder with each client against each way to envd; called by run.sh.

    sdk.py NODE PYTHON      a node of version 20.18 or later; a python that has requirements.txt installed

Prints what fails, and last N passed, N failed, N skipped.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from wrenn_platform import BINARY, Platform  # noqa: E402

NODE, PYTHON = sys.argv[1:3]
NODE_MODULES = os.environ["WRENN_SDK_MODULES"]
JAVASCRIPT = ("e2b-2.45", "e2b-2.51")
SUITE_SECONDS = 900
TOKEN = "a-token-of-the-tests"


@contextlib.contextmanager
def plain_envd():
    """envd as an ordinary program of this machine."""
    process = subprocess.Popen([BINARY, "envd", "--host", "127.0.0.1", "--port", "0", "--print-address"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        url = f"http://127.0.0.1:{process.stdout.readline().rsplit(':', 1)[1].strip()}"
        body = f'{{"accessToken":"{TOKEN}"}}'.encode()
        urllib.request.urlopen(urllib.request.Request(f"{url}/init", body, {"Content-Type": "application/json"}), timeout=10).close()
        with tempfile.TemporaryDirectory() as home:
            yield {"WRENN_SANDBOX_URL": url, "WRENN_SANDBOX_ID": "plain", "WRENN_ACCESS_TOKEN": TOKEN, "WRENN_HOME": home}
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def capsule():
    """envd in a capsule, through control plane and agent."""
    platform = Platform(log_level="warn").start()
    try:
        with platform.create() as one:
            view = one.call("GET", "").json()
            yield {"WRENN_SANDBOX_URL": platform.url, "WRENN_SANDBOX_ID": one.id, "WRENN_ACCESS_TOKEN": view["envd_access_token"],
                   "WRENN_HOME": "/root/sdk"}
    finally:
        platform.stop()


def run(command, cwd, environment):
    try:
        return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=SUITE_SECONDS).stdout
    except subprocess.TimeoutExpired as late:
        return f"{(late.stdout or b'').decode()}\nnot ended after {SUITE_SECONDS} s"


def javascript(sdk, environment):
    # Modules are found from where a file lies, so the suite is run from beside them.
    suite = os.path.join(NODE_MODULES, "suite.mjs")
    out = run([NODE, "--test", "--test-reporter=tap", suite], NODE_MODULES, {**environment, "WRENN_SDK": sdk})
    counts = [int(found[1]) if (found := re.search(rf"^# {word} (\d+)$", out, re.M)) else 0 for word in ("pass", "fail", "cancelled", "skipped")]
    return out, (counts[0], counts[1] + counts[2], counts[3])


def python(environment):
    out = run([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", os.path.join(HERE, "suite.py")], HERE, environment)
    counts = [int(found[1]) if (found := re.search(rf"\b(\d+) {word}", out.splitlines()[-1])) else 0 for word in ("passed", "failed", "error", "skipped")]
    return out, (counts[0], counts[1] + counts[2], counts[3])


def envd_version():
    """As the host tells it to clients: what envd says of itself."""
    with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "src", "api", "envd.h")) as header:
        return re.search(r'kVersion = "([\d.]+)"', header.read())[1]


def main():
    total = [0, 0, 0]
    for place in (plain_envd, capsule):
        with place() as environment:
            environment["WRENN_ENVD_VERSION"] = envd_version()
            for name, suite in [*((sdk, lambda sdk=sdk: javascript(sdk, environment)) for sdk in JAVASCRIPT), ("python", lambda: python(environment))]:
                out, counts = suite()
                passed, failed, skipped = counts
                if passed + failed == 0:
                    failed = 1
                print(f"{place.__name__} {name}: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
                if failed:
                    print(out, flush=True)
                total = [sum(pair) for pair in zip(total, (passed, failed, skipped))]
    print("{} passed, {} failed, {} skipped".format(*total))
    sys.exit(1 if total[1] else 0)


main()
