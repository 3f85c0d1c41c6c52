"""Names and their addresses, in a network of its own with a name server of its own (inside_namespace.py)."""

import os
import shutil
import subprocess
import sys

import pytest

# The machine's own resolver settings are hidden for this namespace only.
SETUP = """
set -e
ip link set lo up
ip address add 8.8.4.4/32 dev lo
printf 'nameserver 127.0.0.1\\n' >"$0/resolv.conf"
printf 'hosts: files dns\\n' >"$0/nsswitch.conf"
mount --bind "$0/resolv.conf" /etc/resolv.conf
mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf
exec "$@"
"""


def test_in_a_network_of_its_own(tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs root, unshare and ip")
    enter = ["unshare", "--mount", "--net", "sh", "-c", SETUP, str(tmp_path)]
    if subprocess.run([*enter, "true"], capture_output=True, timeout=10).returncode != 0:
        pytest.skip("this machine does not let us make a network namespace")
    inside = os.path.join(os.path.dirname(__file__), "inside_namespace.py")
    done = subprocess.run([*enter, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", inside], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout
