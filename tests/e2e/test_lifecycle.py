"""Capsules come, pause, continue and go; whatever happens to them, nothing stays behind."""

import concurrent.futures
import json
import os
import re
import subprocess
import time

from branches import goes_on, machine_pid, machine_runs, start_counter, told
from sockets import Session
from wrenn_platform import SLOWNESS


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds * SLOWNESS
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def test_create_get_list_destroy(platform):
    with platform.create(template="minimal", vcpus=1, memory_mb=256) as capsule:
        seen = capsule.call("GET").json()
        assert seen["status"] == "running" and seen["memory_mb"] == 256 and seen["template"] == "minimal"
        assert seen["metadata"]["envd_version"] and seen["metadata"]["kernel_version"]
        assert [c["id"] for c in platform.request("GET", "/v1/capsules").json()] == [capsule.id]
        assert [c["id"] for c in platform.request("GET", "/api/v1/capsules").json()] == [capsule.id]
    assert capsule.call("GET").json()["status"] == "stopped"
    assert capsule.call("DELETE").status == 204  # again
    assert platform.request("GET", "/v1/capsules").json() == []
    assert capsule.call("POST", "/exec", {"cmd": "true"}).error()[:2] == (409, "invalid_state")


def test_pause_and_resume_go_on_where_it_was(capsule):
    start_counter(capsule)
    capsule.shell("dd if=/dev/urandom of=/root/blob bs=1M count=4 2>/dev/null; sha256sum /root/blob > /root/sum; cat /proc/sys/kernel/random/boot_id > /tmp/boot")
    seen = told(capsule)
    boot = capsule.shell("cat /proc/sys/kernel/random/boot_id")["stdout"]
    pid = machine_pid(capsule)
    assert machine_runs(pid)
    answer = capsule.call("POST", "/pause")
    assert answer.status == 200 and answer.json()["status"] == "paused", answer
    assert capsule.call("POST", "/pause").error()[:2] == (409, "invalid_state")
    assert capsule.call("POST", "/exec", {"cmd": "true"}).error()[:2] == (409, "invalid_state")
    wait_for(lambda: not machine_runs(pid), 10, "the VMM of a paused capsule has ended")  # which the answer does not wait for
    time.sleep(1.5)
    answer = capsule.call("POST", "/resume")
    assert answer.status == 200 and answer.json()["status"] == "running", answer
    assert capsule.shell("cat /proc/sys/kernel/random/boot_id")["stdout"] == boot
    goes_on(capsule, seen)
    assert "OK" in capsule.shell("cd / && sha256sum -c /root/sum")["stdout"]
    assert abs(float(capsule.shell("date +%s.%N")["stdout"]) - time.time()) < 1.0, "the clock is wrong after resume"


def test_zeroed_pages_come_back_zeroed(capsule):
    """Memory that was filled before one pause and cleared before the next must read as zeros."""
    capsule.shell("mount -o remount,size=60% /tmp 2>/dev/null; head -c 33554432 /dev/urandom > /tmp/page")
    for content, expected in (("head -c 33554432 /dev/zero > /tmp/page", "0"), ("head -c 33554432 /dev/urandom > /tmp/page", "1")):
        assert capsule.call("POST", "/pause").status == 200
        assert capsule.call("POST", "/resume").status == 200
        capsule.shell(content)
        assert capsule.call("POST", "/pause").status == 200
        assert capsule.call("POST", "/resume").status == 200
        different = capsule.shell("cmp -s -n 33554432 /tmp/page /dev/zero; echo $?")["stdout"].strip()
        assert different == expected


def test_streams_end_clearly_at_a_pause(capsule):
    with Session(capsule, "/exec/stream") as session:
        session.send(type="start", cmd="sleep", args=["1000"])
        session.until("start")
        assert capsule.call("POST", "/pause").status == 200
        last = session.until("error", "exit")[-1]
        assert last["type"] == "error" and last["data"]
    assert capsule.call("POST", "/resume").status == 200
    assert "sleep 1000" in capsule.shell("ps -eo args")["stdout"]


def test_idle_time_pauses_and_work_does_not_count_as_idle(platform):
    with platform.create(timeout_sec=3) as capsule:
        assert capsule.exec("sleep", "6")["exit_code"] == 0
        assert capsule.status() == "running"
        wait_for(lambda: capsule.status() == "paused", 40, "an idle capsule pauses by itself")
        assert capsule.call("POST", "/resume").status == 200
        assert capsule.call("POST", "/ping").status == 204


def test_twenty_capsules(platform):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        capsules = list(pool.map(lambda _: platform.create(memory_mb=256), range(20)))
        try:
            assert len({c.id for c in capsules}) == 20
            outputs = list(pool.map(lambda c: c.shell("cat /proc/sys/kernel/random/boot_id; hostname")["stdout"], capsules))
            assert len(set(outputs)) == 20
            pids = [machine_pid(c) for c in capsules]
        finally:
            list(pool.map(lambda c: c.destroy(), capsules))
    assert not any(machine_runs(pid) for pid in pids)


def test_capsules_cannot_reach_each_other_nor_the_host(platform):
    with platform.create() as one, platform.create() as other:
        addresses = [c.call("GET").json()["host_ip"] for c in (one, other)]
        assert len(set(addresses)) == 2
        other.call("POST", "/exec", {"cmd": "python3", "args": ["-m", "http.server", "8080", "--bind", "0.0.0.0"], "background": True})
        wait_for(lambda: other.shell("curl -s -m 2 -o /dev/null http://127.0.0.1:8080/ && echo up")["stdout"] == "up\n", 20, "the server of the guest")
        # From the host the port answers: what the capsule must not reach is really there.
        reach = subprocess.run(["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"http://{addresses[1]}:8080/"], capture_output=True, text=True)
        assert reach.stdout == "200"
        targets = [f"{addresses[1]}:8080", f"{addresses[1]}:49983", f"10.12.0.0:{platform.port}", f"10.12.0.2:{platform.port}",
                   "169.254.169.254:80", "169.254.0.22:22"]
        for target in targets:
            result = one.shell(f"curl -s -m 2 -o /dev/null http://{target}/; echo $?")
            assert result["stdout"].strip() in ("7", "28"), f"{target} answered a capsule: {result}"


def test_vmm_death_is_noticed(platform):
    with platform.create() as capsule:
        os.kill(machine_pid(capsule), 9)
        wait_for(lambda: capsule.status() == "error", 20, "status error after the VMM was killed")
        assert capsule.call("POST", "/exec", {"cmd": "true"}).error()[0] == 409


def test_run_leaves_nothing_and_passes_the_exit_code(platform):
    done = platform.cli("run", "--rm", "--", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (done.returncode, done.stdout, done.stderr) == (42, "out\n", "err\n")
    assert platform.request("GET", "/v1/capsules").json() == []


def test_cli_lists_and_inspects(platform):
    identity = platform.cli("capsule", "create").stdout.strip()
    assert identity.startswith("cl-")
    assert identity in platform.cli("capsule", "ls").stdout
    listed = json.loads(platform.cli("--json", "capsule", "ls").stdout)
    assert [c["id"] for c in listed] == [identity]
    assert "running" in platform.cli("capsule", "inspect", identity).stdout
    assert platform.cli("capsule", "pause", identity).returncode == 0
    assert platform.cli("capsule", "resume", identity).returncode == 0
    assert platform.cli("capsule", "exec", identity, "--", "echo", "back").stdout == "back\n"
    assert platform.cli("capsule", "rm", identity).returncode == 0
    done = platform.cli("capsule", "inspect", "cl-nonsense")
    assert done.returncode == 125 and "no capsule id" in done.stderr


def test_metrics_of_a_capsule(platform):
    with platform.create() as capsule:
        wait_for(lambda: capsule.call("GET", "/metrics?range=5m").json()["points"], 30, "a sample")
        point = capsule.call("GET", "/metrics").json()["points"][-1]
        assert point["mem_bytes"] > 10 << 20 and point["disk_bytes"] > 0 and 0 <= point["cpu_pct"] <= 100
        assert capsule.call("GET", "/metrics?range=7m").error()[:2] == (400, "invalid_request")


def admin_of(platform):
    """A function that asks as an admin of the platform."""
    email = f"admin{time.time_ns()}@example.com"
    done = platform.cli("--dir", platform.directory, "--json", "admin", "create-user", email, "--admin")
    assert done.returncode == 0, done.stderr
    answer = platform.request("POST", "/v1/auth/login", {"email": email, "password": json.loads(done.stdout)["password"]}, key=None)
    assert answer.status == 200, answer
    field = {"Authorization": "Bearer " + answer.json()["token"]}
    return lambda path: platform.request("GET", path, key=None, headers=field)


def test_metrics_of_the_host(platform):
    get = admin_of(platform)
    hosts = get("/v1/hosts").json()
    assert len(hosts) == 1 and hosts[0]["status"] == "online", hosts
    path = f"/v1/hosts/{hosts[0]['id']}/metrics"
    wait_for(lambda: len(get(path + "?range=5m").json()["points"]) >= 2, 60, "two samples")
    asked = time.time()
    answer = get(path).json()
    assert (answer["host_id"], answer["range"]) == (hosts[0]["id"], "10m")
    with open("/proc/meminfo") as file:
        memory = int(re.search(r"^MemTotal:\s+(\d+) kB$", file.read(), re.MULTILINE).group(1)) << 10
    disk = os.statvfs(platform.directory)
    for point in answer["points"]:
        assert 0 <= point["cpu_pct"] <= 100, point
        assert 0 < point["mem_bytes"] < memory and memory >> 20 == hosts[0]["memory_mb"], point
        assert 0 < point["disk_bytes"] <= disk.f_blocks * disk.f_frsize, point
        assert asked - 601 <= point["timestamp_unix"] <= time.time(), point  # of ten minutes, in whole seconds
    times = [point["timestamp_unix"] for point in answer["points"]]
    assert times == sorted(times)
    assert get(path + "?range=7m").error()[:2] == (400, "invalid_request")
    assert platform.request("GET", path).error()[:2] == (403, "forbidden")
