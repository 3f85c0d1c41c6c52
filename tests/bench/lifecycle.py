"""Create, pause, resume, fork, destroy, as a client sees them through the REST API."""

import concurrent.futures
import time

from bare_clone import bare_clones
from branches import WAIT, agent_metrics, checkpoint, fork, machine_pid, pause
from wrenn_platform import DIR, Capsule

MEMORY = 256  # MiB of the guests
STAGE = "wrenn_agent_sandbox_stage_duration_seconds"
# In the guest: the largest gap that a program sees which always looks at the clock. Under emulation the clock stands still
# with the machine, so this shows mostly how long users' programs were held.
GAPS = """
import os, time
largest, last = 0, time.monotonic()
while not os.path.exists("/tmp/stop"):
    for _ in range(2000):
        now = time.monotonic()
        if now - last > largest: largest = now - last
        last = now
print(largest * 1000)
"""


def timed(call):
    begin = time.perf_counter()
    result = call()
    return (time.perf_counter() - begin) * 1000, result


class Stages:
    """Which stages the agent went through since the start, and how long each took on average."""

    def __init__(self):
        self.before = agent_metrics()

    def means(self):
        """{stage: [count, mean in ms]}, longest first."""
        after = agent_metrics()
        found = {}
        for name, value in after.items():
            if name.startswith(STAGE + "_count{"):
                count = value - self.before.get(name, 0)
                total = name.replace("_count{", "_sum{")
                if count > 0:
                    seconds = after[total] - self.before.get(total, 0)
                    found[name.split('stage="')[1].split('"')[0]] = [int(count), round(seconds / count * 1000, 2)]
        return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def creates(platform, report, count=40):
    """One after another, each with some rest, as a client that works in between does."""
    stages = Stages()
    running, first_output, destroy = [], [], []
    for _ in range(count):
        time.sleep(0.7)  # what the agent keeps ready is there again
        begin = time.perf_counter()
        capsule = platform.create(memory_mb=MEMORY)
        running.append((time.perf_counter() - begin) * 1000)
        assert capsule.shell("echo ready")["stdout"] == "ready\n"
        first_output.append((time.perf_counter() - begin) * 1000)
        destroy.append(timed(capsule.destroy)[0])
    means = stages.means()
    report.line("create_running", "ms", running, memory_mb=MEMORY, stages=means)
    report.line("create_first_output", "ms", first_output, memory_mb=MEMORY)
    report.line("destroy", "ms", destroy)
    report.line("network_slot", "ms", [means["network"][1] if "network" in means else 0.0], source="mean of the stage", creates=count)
    return running


def creates_together(platform, report, rounds=3):
    samples, outputs = [], []
    for _ in range(rounds):
        time.sleep(2)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            took, capsules = timed(lambda: list(pool.map(lambda _: platform.create(memory_mb=MEMORY), range(20))))
            samples.append(took)
            outputs.append(took + timed(lambda: list(pool.map(lambda one: one.shell("echo ready"), capsules)))[0])
            list(pool.map(lambda one: one.destroy(), capsules))
    report.line("create_20_parallel", "ms", samples, memory_mb=MEMORY, all_first_outputs_p50=round(sorted(outputs)[len(outputs) // 2], 1))


def dirty(capsule):
    # What is as good as full is written anew: 64 MiB that no snapshot has.
    done = capsule.shell("mount -o remount,size=80% /dev/shm; head -c 67108864 /dev/urandom > /dev/shm/dirty && stat -c %s /dev/shm/dirty")
    assert done["stdout"] == "67108864\n", done


def pauses(platform, report, rounds=8):
    paused, resumed, stages = [], [], Stages()
    with platform.create(memory_mb=MEMORY) as capsule:
        for _ in range(rounds):
            dirty(capsule)
            time.sleep(0.3)
            paused.append(timed(lambda: pause(capsule))[0])
            time.sleep(0.3)
            begin = time.perf_counter()
            assert capsule.call("POST", "/resume", headers=WAIT).status == 200
            assert capsule.shell("echo ready")["stdout"] == "ready\n"
            resumed.append((time.perf_counter() - begin) * 1000)
    means = stages.means()
    report.line("pause_64mib", "ms", paused, memory_mb=MEMORY, stages=means)
    report.line("resume_first_output", "ms", resumed, memory_mb=MEMORY, dirty_mib=64)


def guest_stops(platform, report, rounds=8):
    """How long a running guest stands still for a checkpoint of 64 MiB."""
    stops, gaps, total = [], [], []
    with platform.create(memory_mb=MEMORY) as capsule:
        for number in range(rounds):
            dirty(capsule)
            before = Stages()
            capsule.shell("rm -f /tmp/stop")
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                looking = pool.submit(capsule.exec, "python3", "-c", GAPS)
                time.sleep(1)
                total.append(timed(lambda name=f"c{number}": checkpoint(capsule, name))[0])
                time.sleep(0.3)
                capsule.shell("touch /tmp/stop")
                gaps.append(float(looking.result()["stdout"]))
            stops.append(before.means()["stopped"][1])
            assert capsule.call("DELETE", f"/checkpoints/c{number}").status == 204
    report.line("guest_stop_64mib", "ms", stops, memory_mb=MEMORY, source="stage stopped", checkpoint_p50=round(sorted(total)[len(total) // 2], 1),
                gap_seen_by_a_program_p50=round(sorted(gaps)[len(gaps) // 2], 1), gap_seen_by_a_program_max=round(max(gaps), 1))


def forks(platform, report, rounds=6):
    samples, outputs, stages = [], [], Stages()
    with platform.create(memory_mb=MEMORY) as capsule:
        capsule.shell("head -c 1000000 /dev/urandom > /dev/shm/state")
        for _ in range(rounds):
            time.sleep(1)
            begin = time.perf_counter()
            children = fork(capsule, 10)
            samples.append((time.perf_counter() - begin) * 1000)
            with concurrent.futures.ThreadPoolExecutor(10) as pool:
                assert len(set(pool.map(lambda one: one.shell("hostname")["stdout"], children))) == 10
                outputs.append((time.perf_counter() - begin) * 1000)
                list(pool.map(lambda one: one.destroy(), children))
    report.line("fork_10", "ms", samples, memory_mb=MEMORY, all_first_outputs_p50=round(sorted(outputs)[len(outputs) // 2], 1), stages=stages.means())


def private_memory(platform, report):
    samples, proportional = [], []
    capsules = [platform.create(memory_mb=MEMORY) for _ in range(3)]
    for capsule in capsules:
        capsule.shell("true")
    time.sleep(6)  # its metrics were asked for once
    for capsule in capsules:
        with open(f"/proc/{machine_pid(capsule)}/smaps_rollup") as file:
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in file if line.endswith(" kB\n")}
        samples.append(sum(size for name, size in sizes.items() if name.startswith("Private_") and name != "Private_Hugetlb") / 1024)
        proportional.append(sizes["Pss"] / 1024)
        capsule.destroy()
    report.line("rss_private_idle_clone", "MiB", samples, memory_mb=MEMORY, pss_p50=round(sorted(proportional)[1], 1))


def bare(platform, report, running):
    with platform.create(memory_mb=MEMORY) as capsule:
        try:
            samples = bare_clones(DIR, MEMORY, machine_pid(capsule), 20)
        except LookupError as why:
            report.skipped("bare_vmm_clone", str(why))
            return
    report.line("bare_vmm_clone", "ms", samples, memory_mb=MEMORY)
    middle = sorted(samples)[len(samples) // 2]
    report.line("create_running_by_bare_vmm_clone", "ratio", [one / middle for one in running])


def readopt(platform, report, rounds=3):
    """The agent is killed with 20 capsules and started again: until the new one says that all run."""
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        capsules = list(pool.map(lambda _: platform.create(memory_mb=MEMORY), range(20)))
        ready, adopted = [], []
        for _ in range(rounds):
            time.sleep(1)
            platform.kill()
            begin = time.perf_counter()
            platform.start()
            ready.append((time.perf_counter() - begin) * 1000)
            while {one["status"] for one in platform.request("GET", "/v1/capsules").json()} != {"running"}:
                time.sleep(0.01)
            adopted.append((time.perf_counter() - begin) * 1000)
            assert len(platform.request("GET", "/v1/capsules").json()) == 20
        assert all(pool.map(lambda one: Capsule(platform, one.id).shell("echo alive")["stdout"] == "alive\n", capsules))
        list(pool.map(lambda one: one.destroy(), capsules))
    report.line("readopt_20", "ms", adopted, first_answer_p50=round(sorted(ready)[len(ready) // 2], 1),
                note="from the start of the process")


def lifecycle(platform, report):
    platform.create(memory_mb=MEMORY).destroy()  # there is a golden snapshot now
    running = creates(platform, report)
    creates_together(platform, report)
    pauses(platform, report)
    guest_stops(platform, report)
    forks(platform, report)
    private_memory(platform, report)
    bare(platform, report, running)
    readopt(platform, report)
