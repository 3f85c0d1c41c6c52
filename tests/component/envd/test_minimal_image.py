"""Images without bash, and without any shell."""

import os
import shutil

import pytest

from envd import Envd, RpcError, command


def minimal_image(tmp_path, programs):
    """A root with busybox and envd only."""
    busybox = shutil.which("busybox")
    if not busybox or os.geteuid() != 0:
        pytest.skip("needs root and a static busybox")
    root = tmp_path / "root"
    for folder in ("bin", "etc", "root", "proc", "dev", "tmp"):
        (root / folder).mkdir(parents=True)
    shutil.copy(command()[0], root / "envd")
    for program in programs:
        shutil.copy(busybox, root / "bin" / "busybox")
        (root / "bin" / program).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/bash\n")
    setup = (f"mount --bind {root} {root} && mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev && cd {root} && "
             "exec chroot . /envd \"$@\"")
    # The words of command() come after; the first is the program's path outside.
    return ["unshare", "--mount", "sh", "-c", "shift; " + setup, "sh"]


def test_without_bash(tmp_path):
    wrap = minimal_image(tmp_path, ["sh", "cat", "stty"])
    one = Envd(wrap=wrap, program=["x", "--host", "127.0.0.1"])
    try:
        out, err, end = one.run("/bin/bash", ["-l", "-c", "echo from $0; exit 3"])
        assert (out, err, end["exitCode"]) == (b"from sh\n", b"", 3)
        assert one.run("bash", ["-c", "echo $1", "x", "y"])[0] == b"y\n"
        out, err, end = one.run("/bin/zsh")
        assert end["exitCode"] == 127 and err == b"/bin/zsh: No such file or directory\n"
        for message in ({"process": {"cmd": "/bin/bash", "args": ["-i", "-l"]}, "pty": {}}, {"pty": {}}):
            stream = one.stream("process.Process/Start", message)
            pid = stream.start()
            one.send_input(pid, b"exit 9\n", kind="pty")
            assert stream.collect()[3]["exitCode"] == 9
    finally:
        one.stop()


def test_without_any_shell(tmp_path):
    wrap = minimal_image(tmp_path, ["cat"])
    one = Envd(wrap=wrap, program=["x", "--host", "127.0.0.1"])
    try:
        assert one.run("cat", ["/etc/passwd"])[0].startswith(b"root:")
        stream = one.start("/bin/bash", ["-c", "true"])
        with pytest.raises(RpcError) as error:
            next(stream)
        assert error.value.code == "failed_precondition" and "/bin/bash: No such file or directory" in error.value.message
        assert one.processes() == []
    finally:
        one.stop()
