"""The floor below a create: the same QEMU, restored by hand from wrenn's own golden snapshot, without wrenn.

The same arguments as a capsule's machine has, read from one that runs; memory in a sealed file in memory, as the agent has it;
a fresh overlay and a tap made before the clock starts; no control group, user or network namespace of its own.
"""

import array
import contextlib
import fcntl
import glob
import json
import os
import socket
import struct
import subprocess
import tempfile
import time

F_ADD_SEALS, SEALS = 1033, 0x1 | 0x2 | 0x4 | 0x8  # linux/fcntl.h
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x2, 0x1000, 0x4000  # linux/if_tun.h


class Monitor:
    """QMP over a socket that descriptors can be passed through."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.call("qmp_capabilities")

    def call(self, command, arguments=None, descriptor=None):
        text = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})}).encode() + b"\n"
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor is not None else []
        self.socket.sendmsg([text], passed)
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, answer


def arguments_of(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")[:-1]


def sealed_copy(path):
    """The file in memory, as /dev/fd/N of whoever inherits it."""
    memory = os.memfd_create("base", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with open(path, "rb") as file:
        os.ftruncate(memory, os.fstat(file.fileno()).st_size)
        position = 0
        while True:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), position, os.SEEK_HOLE)
            while position < end:
                position += os.pwrite(memory, os.pread(file.fileno(), min(1 << 20, end - position), position), position)
    fcntl.fcntl(memory, F_ADD_SEALS, SEALS)
    return memory


def open_tap():
    """Gone when it is closed, and down all the time."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"bench-bare", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return tap


class Golden:
    def __init__(self, directory, memory_mib, running_pid):
        for path in glob.glob(f"{directory}/golden/*/manifest.json"):
            with open(path) as file:
                self.manifest = json.load(file)
            if self.manifest["memoryMib"] == memory_mib and self.manifest["vcpus"] == 1 and self.manifest["disk"]["kind"] == "qcow2":
                break
        else:
            raise LookupError(f"no golden snapshot of {memory_mib} MiB with a qcow2 disk")
        self.state = os.path.join(os.path.dirname(path), "device-state")
        self.memory = sealed_copy(self.manifest["memoryBase"])
        self.arguments = arguments_of(running_pid)

    def clone_ms(self, folder):
        """From nothing to a machine whose CPUs run, in ms."""
        disk = self.manifest["disk"]
        overlay, monitor_path = f"{folder}/overlay", f"{folder}/monitor"
        below = disk["layers"][-1] if disk["layers"] else disk["image"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", "qcow2" if disk["layers"] else "raw", "-u",
                        overlay, str(disk["sizeBytes"])], check=True)
        with contextlib.ExitStack() as stack:
            def opened(path, flags):
                descriptor = os.open(path, flags)
                stack.callback(os.close, descriptor)
                return descriptor

            tap = open_tap()
            stack.callback(os.close, tap)
            begin = time.perf_counter()
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(monitor_path)
            listening.listen(1)
            files = {"monitor": listening.fileno(), "memory": self.memory, "disk": opened(overlay, os.O_RDWR), "tap": tap}
            backing = [opened(path, os.O_RDONLY) for path in [disk["image"], *disk["layers"]]]
            process = subprocess.Popen(self.adapted(files, backing), pass_fds=[*files.values(), *backing], stdin=subprocess.DEVNULL)
            try:
                monitor = Monitor(monitor_path)
                state = opened(self.state, os.O_RDONLY)
                monitor.call("getfd", {"fdname": "state"}, state)
                monitor.call("migrate-incoming", {"uri": "fd:state"})
                while monitor.call("query-status")["status"] == "inmigrate":
                    time.sleep(0.0005)
                monitor.call("cont")
                assert monitor.call("query-status")["running"]
                return (time.perf_counter() - begin) * 1000
            finally:
                process.kill()
                process.wait()

    def adapted(self, files, backing):
        """The arguments of the running machine, with our own descriptors."""
        renamed, arguments, old = {}, [], iter(self.arguments)
        for word in old:
            if word == "-add-fd":  # the disk is the first, then what is below it, from the image up
                number = next(old).split("fd=")[1].split(",")[0]
                renamed[number] = str(([files["disk"], *backing])[len(renamed)])
                arguments += [word, f"fd={renamed[number]},set={renamed[number]}"]
            elif word == "-blockdev":
                node = json.loads(next(old))
                rename_files(node, renamed)
                arguments += [word, json.dumps(node)]
            elif word == "-chardev":
                value = next(old)
                if value.startswith("socket"):
                    value = f"socket,id=monitor,fd={files['monitor']},server=on,wait=off"
                arguments += [word, value]
            elif word == "-object":
                head, _, tail = next(old).partition("mem-path=")
                arguments += [word, f"{head}mem-path=/dev/fd/{files['memory']},{tail.partition(',')[2]}"]
            elif word == "-netdev":
                next(old)
                arguments += [word, f"tap,id=net,fd={files['tap']},vhost=off"]
            else:
                arguments.append(word)
        return arguments


def rename_files(node, renamed):
    if "filename" in node:
        node["filename"] = "/dev/fdset/" + renamed[node["filename"].rsplit("/", 1)[1]]
    for inner in ("file", "backing"):
        if node.get(inner):
            rename_files(node[inner], renamed)


def bare_clones(directory, memory_mib, running_pid, count):
    golden = Golden(directory, memory_mib, running_pid)
    samples = []
    try:
        for _ in range(count):
            with tempfile.TemporaryDirectory(dir="/tmp") as folder:
                samples.append(golden.clone_ms(folder))
    finally:
        os.close(golden.memory)
    return samples
