"""What envd does with the guest as a machine: groups of processes, ports on loopback, accounts."""

import json


def test_processes_are_in_groups_with_limits(capsule):
    facts = json.loads(capsule.exec("python3", "-c", """
import json, re
read = lambda path: open(path).read().strip()
group = re.search(r"0::(/user/p\\d+)", read("/proc/self/cgroup")).group(1)
total = int(re.search(r"MemTotal:\\s+(\\d+)", read("/proc/meminfo")).group(1)) * 1024
envd = read("/sys/fs/cgroup/envd/cgroup.procs").split()
print(json.dumps({"group": group, "total": total, "envd": [read(f"/proc/{pid}/comm") for pid in envd],
                  "user": {name: read("/sys/fs/cgroup/user/" + name) for name in ("cpu.weight", "memory.max", "memory.high", "pids.max")},
                  "pty": {name: read("/sys/fs/cgroup/pty/" + name) for name in ("cpu.weight", "memory.max")},
                  "own": {name: read("/sys/fs/cgroup/envd/" + name) for name in ("cpu.weight", "memory.min", "memory.low")},
                  "score": read("/proc/self/oom_score_adj"), "envd_score": read(f"/proc/{envd[0]}/oom_score_adj")}))
""")["stdout"])
    left = facts["total"] - min(facts["total"] // 8, 128 << 20)
    assert facts["envd"] in (["envd"], ["wrenn"]), facts
    assert facts["user"]["cpu.weight"] == "50" and facts["pty"]["cpu.weight"] == "200"
    for group in ("user", "pty"):
        assert abs(int(facts[group]["memory.max"]) - left) < 4096
    assert int(facts["user"]["pids.max"]) > 0
    assert facts["own"] == {"cpu.weight": "1000", "memory.min": str(50 << 20), "memory.low": str(100 << 20)}
    assert (facts["score"], facts["envd_score"]) == ("100", "-1000")


def test_a_program_that_eats_all_memory_dies_alone(capsule):
    result = capsule.exec("python3", "-c", "x = []\nwhile True: x.append(bytearray(8 << 20))")
    assert result["exit_code"] != 0
    assert capsule.shell("echo alive")["stdout"] == "alive\n"


def test_loopback_is_reachable_at_the_guests_address(capsule):
    result = capsule.exec("python3", "-c", """
import http.server, socket, threading, time
server = http.server.HTTPServer(("127.0.0.1", 8123), http.server.SimpleHTTPRequestHandler)
begin = time.monotonic()
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    try:
        socket.create_connection(("169.254.0.21", 8123), 1).close()
        break
    except OSError:
        time.sleep(0.02)
print(time.monotonic() - begin)
""")
    assert result["exit_code"] == 0, result
    assert float(result["stdout"]) < 2.0  # one second, and what emulation takes


def test_both_accounts_have_sudo(capsule):
    for user in ("user", "wrenn-user"):
        result = capsule.shell(f"su {user} -c 'cd; pwd; sudo -n id -un'")
        assert result["stdout"] == f"/home/{user}\nroot\n", result

