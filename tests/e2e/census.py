"""What a capsule leaves on the host, counted by kind. Zero after every test."""

import fcntl
import glob
import json
import os
import signal
import subprocess
import time

from wrenn_platform import SLOWNESS

READY_SLOTS = 8  # the agent's default of ready_slots
READY_SANDBOXES = 2  # and of ready_sandboxes


def _lines(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def _processes(directory):
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                arguments = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "qemu-system" in arguments.split(" ")[0] and directory in arguments:
            found.append(path.split("/")[2] + " " + arguments[:120])
    return found


def _cgroups():
    return [path for path in glob.glob("/sys/fs/cgroup/**/cl-*", recursive=True) if os.path.isdir(path)]


def _loops(directory):
    return [line for line in _lines("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE") if directory in line]


def _mounts(directory):
    with open("/proc/self/mounts") as file:
        return [line.strip() for line in file if "wrenn-ns-" in line or f"{directory}/sandboxes" in line]


def _below(path):
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def _foreign(directory):
    """Names that belong to agents on other directories of this machine: each slot and sandbox is claimed with a file that
    holds its agent's directory."""
    names = set()
    for path in glob.glob("/run/wrenn/claims/*"):
        try:
            with open(path) as file:
                owner = file.read().strip()
        except OSError:
            continue
        if owner != os.path.realpath(directory):
            kind, _, what = os.path.basename(path).partition("-")
            names |= {os.path.basename(path)}
            names |= {f"wrenn-ns-{what}", f"wrenn-veth-{what}"} if kind == "slot" else {what}
    return names


def _agent_lives(directory):
    try:
        with open(f"{directory}/agent.lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _ready_slots(directory):
    """Names of the network slots that a living agent keeps for capsules to come. More than it should keep are a leak, and so
    are all of them once it has ended."""
    if not _agent_lives(directory):
        return set()
    used = set()
    for path in glob.glob(f"{directory}/sandboxes/*/sandbox.json"):
        try:
            with open(path) as file:
                used.add(str(json.load(file).get("slot")))
        except (OSError, ValueError):
            continue
    foreign = _foreign(directory)
    claims = [os.path.basename(path) for path in glob.glob("/run/wrenn/claims/slot-*")]
    slots = [claim[len("slot-"):] for claim in claims if claim not in foreign]
    ready = [slot for slot in slots if slot.isdigit() and slot not in used]
    if len(ready) > READY_SLOTS:
        return set()
    return {name for slot in ready for name in (f"slot-{slot}", f"wrenn-ns-{slot}", f"wrenn-veth-{slot}")}


def _spares(directory):
    """Names of the machines that a living agent keeps for capsules to come. More than it should keep are a leak, and so are
    all of them once it has ended."""
    if not _agent_lives(directory):
        return set()
    spares = []
    for path in glob.glob(f"{directory}/sandboxes/*/sandbox.json"):
        try:
            with open(path) as file:
                record = json.load(file)
        except (OSError, ValueError):
            continue
        if record.get("state") == "starting" and not record.get("templateId"):
            slot = record.get("slot")
            name = os.path.basename(os.path.dirname(path))
            spares.append({name, f"sandbox-{name}", f"slot-{slot}", f"wrenn-ns-{slot}", f"wrenn-veth-{slot}"})
    return set().union(*spares) if len(spares) <= READY_SANDBOXES else set()


def _is_foreign(thing, names):
    words = thing.replace("@", " ").replace("/", " ").replace("=", " ").split()
    return any(word in names for word in words)


def _layers(directory):
    """Layers that no golden snapshot names: those of capsules, forks, checkpoints and templates."""
    kept = ""
    for path in glob.glob(f"{directory}/golden/*/manifest.json"):
        with open(path) as file:
            kept += file.read()
    return [name for name in _below(f"{directory}/layers") if name not in kept]


def census(directory, without=None):
    """{kind: [what is there]}; kinds without anything are left out, and so is what `without`, an earlier census, has."""
    links = [line.split(":")[1].strip() for line in _lines("ip", "-o", "link") if "wrenn-veth" in line]
    found = {
        "processes": _processes(directory),
        "network namespaces": glob.glob("/run/netns/wrenn-ns-*"),
        "links": links,
        "device mapper": glob.glob("/dev/mapper/wrenn-*"),
        "loop devices": _loops(directory),
        "mounts": _mounts(directory),
        "cgroups": _cgroups(),
        "sandboxes": _below(f"{directory}/sandboxes"),
        "snapshots": _below(f"{directory}/snapshots"),
        "checkpoints": _below(f"{directory}/checkpoints"),
        "forks": _below(f"{directory}/forks"),
        "layers": _layers(directory),
        "claims": _below("/run/wrenn/claims"),
        "nft tables": [line for line in _lines("nft", "list", "tables") if "wrenn-" in line],
    }
    known, foreign = without or {}, _foreign(directory) | _ready_slots(directory) | _spares(directory)
    found = {kind: [thing for thing in things if not _is_foreign(thing, foreign)] for kind, things in found.items()}
    new = {kind: [thing for thing in things if thing not in known.get(kind, [])] for kind, things in found.items()}
    return {kind: things for kind, things in new.items() if things}


def machines(directory):
    """Process id and arguments of each."""
    return census(directory).get("processes", [])


def kill_machines(directory):
    """Those that a test which failed left, or that it wants dead."""
    for line in machines(directory):
        os.kill(int(line.split(" ")[0]), signal.SIGKILL)


def census_soon(directory, without, seconds=12):
    """The census once there is nothing, or after `seconds`: networks are taken down after the answer to a destroy, and layers
    are looked for every five seconds."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while (left := census(directory, without)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
