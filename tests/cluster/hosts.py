"""Hosts of a small cluster, made from Linux namespaces of one machine.

Each host has a network, PID, mount and host-name namespace of its own, an address on a bridge, an sshd there, and its
own home, ``/tmp`` (so its own Ray session), ``/run`` and ``/dev/shm``. The bridge is in a namespace of its own and
leads nowhere else. No namespace has a name: it is gone with the last process in it. Every host sees

- ``/mnt/shared``, one folder for all hosts, as an NFS mount would be,
- ``/mnt/own``, a folder of each host's own at one path,
- the virtual environment, at its own path and read-only, but nothing else of this checkout,

and ``laptop`` has a copy of the checkout at ``~/project``; the others get it by ``ray up``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_COPIED = {".venv", ".git", "runs", "data"}  # at the top of the checkout
NAMES = ("laptop", "head", "w1", "w2")
NETWORK = "10.91.0"
ADDRESSES = {name: f"{NETWORK}.{number}" for number, name in enumerate(NAMES, 1)}
SWITCH = "switch"
TOOLS = ("/usr/sbin/sshd", "ssh", "ssh-keygen", "rsync", "ip", "unshare", "nsenter", "setpriv")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_SECONDS = 20.0
TERMINAL = "-tt"  # of ssh: the command gets a terminal
SSH_OPTIONS = (
    "-i", "/root/.ssh/id_ed25519", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
    "-o", "LogLevel=ERROR",
)  # fmt: skip
SSHD = """\
ListenAddress {address}
HostKey /mnt/.keep{folder}/host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
MaxStartups 60
MaxSessions 60
Subsystem sftp internal-sftp
"""


class HostsError(RuntimeError):
    """Hosts that can't be made or removed."""


def reason_to_skip() -> str | None:
    """Returns why no hosts can be made on this machine; None if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts for `ray up` need Linux and root"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if missing:
        return f"hosts for `ray up` need {', '.join(missing)} (Debian: openssh-server, rsync, iproute2, util-linux)"
    tried = subprocess.run(["unshare", "-n", "-p", "-m", "-u", "-f", "--mount-proc", "true"], capture_output=True)
    return "hosts for `ray up` need namespaces, which this machine does not allow" if tried.returncode else None


@dataclass(frozen=True)
class Process:
    """A process by its number and its start, so that another one with the same number is not mistaken for it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        started = _started(pid)
        if started is None:
            raise HostsError(f"process {pid} has ended already")
        return cls(pid, started)

    def runs(self) -> bool:
        return _started(self.pid) == self.started

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, if the process still runs."""
        if self.runs():
            os.kill(self.pid, number)


def _started(pid: int) -> str | None:
    """Returns when a process started, in ticks since boot; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


class Hosts:
    """Context manager that makes the hosts, and removes all of them, also when making them failed half-way.

    When the process that made them is killed, theirs end too; only their files stay, below ``/var/tmp``.
    """

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="ray-hosts-", dir="/var/tmp"))  # each host hides /tmp
        self.shared = self.state / "shared"
        self.first: dict[str, Process] = {}  # of each namespace, its first process
        self.started: list[Process] = []

    def __enter__(self) -> Hosts:
        try:
            self._make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # -- making and removing ------------------------------------------------------------------------------------------

    def _make(self) -> None:
        self.shared.mkdir()
        shutil.copytree(ROOT, self.state / "laptop/home/project", ignore=_not_copied)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.state / "key"))
        self._spawn(SWITCH, ["unshare", "-n", "sleep", "infinity"])
        _wait(lambda: self._has_own_network(SWITCH), "the bridge's namespace")
        self._in_network(SWITCH, "ip", "link", "add", "br0", "type", "bridge")
        self._in_network(SWITCH, "ip", "link", "set", "br0", "up")
        # Shebangs of the environment name its real path; tests may have been started through a link to it.
        folders = {str(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix)} - {"/", "/usr"}
        script = Path(__file__).with_name("host.sh")
        for name in NAMES:
            self._write_files(name)
            namespaces = ["unshare", "-n", "-p", "-m", "-u", "-f", "--mount-proc", "--kill-child"]
            self._spawn(name, [*namespaces, "bash", str(script), name, str(self.state), str(ROOT), *sorted(folders)])
            self._plug_in(name)
        for name in NAMES[1:]:
            _wait(lambda name=name: self.ssh(name, "true").returncode == 0, f"sshd of {name}: {self._log(name)}")  # type: ignore[misc]

    def _write_files(self, name: str) -> None:
        folder = self.state / name
        for part in ("home/.ssh", "tmp", "own"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "tmp").chmod(0o1777)
        lines = ["127.0.0.1 localhost", *(f"{address} {host}" for host, address in ADDRESSES.items())]
        (folder / "hosts").write_text("\n".join(lines) + "\n")
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host_key"))
        (folder / "sshd_config").write_text(SSHD.format(address=ADDRESSES[name], folder=folder))
        home = folder / "home"
        (home / ".profile").write_text(". ~/.bashrc\n")
        (home / ".bashrc").write_text("")
        shutil.copy(self.state / "key.pub", home / ".ssh/authorized_keys")
        if name == "laptop":
            shutil.copy(self.state / "key", home / ".ssh/id_ed25519")

    def _spawn(self, name: str, command: list[str]) -> None:
        """Start the first process of a namespace. ``unshare -f`` stays outside the PID namespace that it makes."""
        with open(self.state / f"{name}.log", "ab") as log:
            outer = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
                env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"},
            )  # fmt: skip
        self.started.append(Process.of(outer.pid))
        self.first[name] = self.started[-1]
        if "-f" in command:
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
            _wait(lambda: outer.poll() is not None or bool(children.read_text().split()), f"namespaces of {name}")
            if outer.poll() is not None:
                raise HostsError(f"{name} did not start: {self._log(name)}")
            self.first[name] = Process.of(int(children.read_text().split()[0]))
            self.started.append(self.first[name])

    def _has_own_network(self, name: str) -> bool:
        return os.readlink(f"/proc/{self.first[name].pid}/ns/net") != os.readlink("/proc/self/ns/net")

    def _plug_in(self, name: str) -> None:
        """Connect a host to the bridge by a pair of virtual interfaces."""
        pid = str(self.first[name].pid)
        pair = ("type", "veth", "peer", "name", "eth0", "netns", pid)
        self._in_network(SWITCH, "ip", "link", "add", f"to-{name}", *pair)
        self._in_network(SWITCH, "ip", "link", "set", f"to-{name}", "master", "br0", "up")
        self._in_network(name, "ip", "link", "set", "eth0", "up")
        self._in_network(name, "ip", "addr", "add", f"{ADDRESSES[name]}/24", "dev", "eth0")

    def _in_network(self, name: str, *command: str) -> None:
        _run("nsenter", "-t", str(self.first[name].pid), "-n", *command)

    def _log(self, name: str) -> str:
        logs = [self.state / f"{name}.log", self.state / name / "sshd.log"]
        return " ".join(log.read_text(errors="replace").strip() for log in logs if log.exists())

    def remove(self) -> None:
        """End every process of the hosts, and remove their files.

        Raises:
            HostsError: if something is left.
        """
        for process in reversed(self.started):
            process.kill()  # the kernel ends all of a PID namespace with its first process
        _wait(lambda: not any(process.runs() for process in self.started), "the end of the hosts' processes")
        mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(self.state) in line]
        if mounts:
            raise HostsError("mounts are left: " + "; ".join(mounts))
        shutil.rmtree(self.state)

    # -- using --------------------------------------------------------------------------------------------------------

    def inside(self, name: str, *command: str) -> list[str]:
        """Returns a command line that runs a command inside a host, without ssh."""
        clean = ["env", "-i", "HOME=/root", "USER=root", "TERM=xterm", "LANG=C.UTF-8", f"PATH={PATH}"]
        entered = ["nsenter", "-t", str(self.first[name].pid), "-m", "-u", "-n", "-p", "--wd=/root"]
        return [*entered, *clean, *command]

    def ssh_command(self, name: str, command: str, terminal: bool = False) -> list[str]:
        """Returns a command line that runs a shell command on a host through ssh from the laptop."""
        login = f"bash -lc {shlex.quote(command)}"
        words = ["ssh", *SSH_OPTIONS, *([TERMINAL] if terminal else []), f"root@{name}", login]
        return self.inside("laptop", *words)

    def ssh(self, name: str, command: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a host through ssh from the laptop; its output and errors are one text."""
        return _finish(self.ssh_command(name, command), timeout)

    def laptop(self, command: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the laptop, in the checkout."""
        return _finish(self.on_laptop(command), timeout)

    def on_laptop(self, command: str) -> list[str]:
        """Returns a command line that runs a shell command on the laptop, in its copy of the checkout."""
        return self.inside("laptop", "bash", "-lc", f"cd ~/project && {command}")

    def home(self, name: str) -> Path:
        """Returns a host's home as this machine sees it."""
        return self.state / name / "home"

    def cut(self, name: str) -> None:
        """Pull a host's network cable."""
        self._in_network(SWITCH, "ip", "link", "set", f"to-{name}", "down")

    def mend(self, name: str) -> None:
        """Put a host's network cable back."""
        self._in_network(SWITCH, "ip", "link", "set", f"to-{name}", "up")

    def processes(self, name: str, pattern: str) -> list[Process]:
        """Returns the processes of a host whose command lines contain a text."""
        space, found = os.readlink(f"/proc/{self.first[name].pid}/ns/pid"), []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns/pid") == space:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if pattern in line:
                        found.append(Process.of(int(entry.name)))
            except (OSError, HostsError):
                continue
        return found


def _not_copied(folder: str, names: list[str]) -> set[str]:
    at_top = NOT_COPIED if Path(folder) == ROOT else set()
    return {name for name in names if name in at_top or name == "__pycache__" or name.endswith("_cache")}


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise HostsError(f"{shlex.join(command)}: {done.stderr.strip()}")


def _finish(command: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
    )


def _wait(happened: Callable[[], bool], what: str) -> None:
    """Wait until something is so.

    Raises:
        HostsError: if it takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise HostsError(f"waited {START_SECONDS:.0f} s in vain for {what}")
        time.sleep(0.1)
