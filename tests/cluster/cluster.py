"""A Ray cluster on the test hosts, brought up by ``ray up`` of deploy/local.yaml, and runs on it."""

from __future__ import annotations

import hashlib
import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.hosts import ADDRESSES, ROOT, TERMINAL, Hosts, Process

WORKERS = ("w1", "w2")
RECIPE = Path(__file__).with_name("recipe.yaml")
RAYLET, GCS, DRIVER = "raylet/raylet --", "gcs/gcs_server", "-m orchestrator.run"
TRAINING = "ray::RayTrainWorker"  # the name of Ray Train's worker processes
UP_SECONDS, RUN_SECONDS = 300.0, 600.0
# Of the shell of every host, before `ray up` adds to it: small nodes, and the code that `ray up` brings.
BASHRC = """\
export PYTHONPATH=$HOME/{code} RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
export RAY_OVERRIDE_RESOURCES='{{"CPU": {cpus}}}' RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES=150000000
"""


ALONE = "one_machine"  # the storage of the run on one host, whose weights all others must have


class TooLateError(AssertionError):
    """Raised when what was waited for did not happen in time."""


@dataclass
class Command:
    """A command that runs on a host, with what it has printed."""

    process: subprocess.Popen[bytes]
    log: Path
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, happened: Callable[[], bool], what: str, seconds: float = RUN_SECONDS) -> float:
        """Returns the seconds since the start of the command when something happened.

        Raises:
            TooLateError: when the command ended before, or it took too long.
        """
        while not happened():
            if self.process.poll() is not None or time.monotonic() - self.started > seconds:
                raise TooLateError(f"{what}: not seen; exit code {self.process.poll()}\n{self.text[-4000:]}")
            time.sleep(0.05)
        return time.monotonic() - self.started

    def wait_for(self, text: str, seconds: float = RUN_SECONDS) -> float:
        """Wait until the command has printed a text; returns the seconds since its start."""
        return self.wait_until(lambda: text in self.text, text, seconds)

    def finish(self, seconds: float = RUN_SECONDS) -> int:
        """Wait for the end; returns the exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise TooLateError(f"not ended after {seconds:.0f} s\n{self.text[-4000:]}") from None
        self.seconds = time.monotonic() - self.started
        return code


@dataclass(frozen=True)
class Results:
    """The storage of a run, as this machine sees it."""

    folder: Path

    def weights(self) -> dict[str, str]:
        """Returns the checksum of every trained network's weights by its stage's name."""
        return {
            name: record["results"]["weights_sha256"]
            for name, record in self.artifacts().items()
            if record["kind"] == "train"
        }

    def artifacts(self) -> dict[str, dict[str, Any]]:
        """Returns every artifact's record by its stage's name."""
        records = [json.loads(path.read_text()) for path in self.folder.glob("artifacts/*/artifact.json")]
        return {record["name"]: record for record in records}

    def trials(self) -> list[Path]:
        return list(self.folder.glob("trials/*.json"))

    def checkpoints(self) -> set[str]:
        """Returns the identities of unfinished trainings that have a checkpoint."""
        return {path.parent.name for path in self.folder.glob("checkpoints/*/checkpoint_*")}

    def report(self) -> dict[str, Any]:
        latest = (self.folder / "reports/latest").read_text().strip()
        loaded: dict[str, Any] = json.loads((self.folder / "reports" / latest / "report.json").read_text())
        return loaded

    def left_behind(self) -> list[str]:
        """Returns what a complete run should have removed: checkpoints, scratch folders, probes."""
        found = [*self.folder.glob("checkpoints/*"), *self.folder.glob("scratch/*"), *self.folder.glob(".*")]
        return sorted(str(path.relative_to(self.folder)) for path in found)


class Cluster:
    """Ray on the hosts ``head``, ``w1`` and ``w2``; ``ray up`` is called on ``laptop``."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.commands: list[Command] = []
        key = hashlib.sha256((ROOT / "constraints.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes())
        installed = f"{key.hexdigest()[:16]}-{platform.machine()}"  # as deploy/install.sh names an environment
        for name in ADDRESSES:
            home = hosts.home(name)
            code, cpus = ("project", 2) if name == "laptop" else ("ces-kd", int(name in WORKERS))
            lines = BASHRC.format(code=code, cpus=cpus)
            if name == "laptop":  # the others have this line from deploy/local.yaml
                lines += 'export PATH="$HOME/.ces-kd/venv/bin:$PATH"\n'
            (home / ".bashrc").write_text(lines)
            (home / ".ces-kd").mkdir()
            (home / ".ces-kd/venv").symlink_to(Path(sys.prefix).resolve())
            (home / ".ces-kd/installed").write_text(installed + "\n")
        (hosts.shared / "recipe.yaml").write_text(RECIPE.read_text())
        described = yaml.safe_load((ROOT / "deploy/local.yaml").read_text())
        described["provider"] |= {"head_ip": ADDRESSES["head"], "worker_ips": [ADDRESSES[name] for name in WORKERS]}
        described["auth"]["ssh_user"] = "root"
        (hosts.home("laptop") / "local.yaml").write_text(yaml.safe_dump(described))

    def up(self) -> Command:
        """Start ``ray up``."""
        return self._start(self.hosts.on_laptop("ray up --yes ~/local.yaml"))

    def down(self) -> Command:
        """Stop Ray on all hosts by ``ray down``."""
        command = self._start(self.hosts.on_laptop("ray down --yes ~/local.yaml"))
        assert command.finish(60.0) == 0, command.text
        return command

    def wait_for_workers(self) -> None:
        """Wait until Ray runs on every worker host."""
        deadline = time.monotonic() + UP_SECONDS
        while not all(self.hosts.processes(name, RAYLET) for name in WORKERS):
            if time.monotonic() > deadline:
                raise TooLateError(f"no worker after {UP_SECONDS:.0f} s; the autoscaler: {self._monitor_log()}")
            time.sleep(0.5)
        time.sleep(2.0)  # registers with the head

    def _monitor_log(self) -> str:
        done = self.hosts.ssh("head", "tail -n 30 /tmp/ray/session_latest/logs/monitor*")
        return done.stdout

    def command(self, name: str, *arguments: str) -> str:
        """Returns the command of a run whose storage is the shared folder ``name``."""
        words = ["python", DRIVER, "/mnt/shared/recipe.yaml", "--storage", f"/mnt/shared/{name}", *arguments]
        return " ".join(words)

    def run(self, name: str, *arguments: str, terminal: bool = False) -> Command:
        """Start a run on the head, through ssh from the laptop."""
        command = f"cd ~/ces-kd && {self.command(name, *arguments)}"
        return self._start(self.hosts.ssh_command("head", command, terminal))

    def run_on_laptop(self, name: str) -> Command:
        """Start the same run on one host, on a Ray of its own."""
        return self._start(self.hosts.on_laptop(self.command(name, "--address", "local")))

    def submit(self, name: str) -> Command:
        """Start a run by ``ray job submit``."""
        return self.on_head(f"cd ~/ces-kd && ray job submit -- {self.command(name)}")

    def on_head(self, command: str) -> Command:
        """Start a shell command on the head, through ssh from the laptop."""
        return self._start(self.hosts.ssh_command("head", command))

    def results(self, name: str) -> Results:
        return Results(self.hosts.shared / name)

    def drivers(self) -> list[Process]:
        """Returns the processes of runs on the head, without the shells that started them."""
        return self.hosts.processes("head", f"python {DRIVER}")

    def hang_up(self) -> None:
        """Kill the ssh clients on the laptop that hold a terminal; the head's sshd then hangs up."""
        for client in self.hosts.processes("laptop", f"{TERMINAL} root@"):
            client.kill()

    def hosts_of_trainings(self) -> list[str]:
        """Returns the worker hosts on which a network of the ladder trains."""
        return [name for name in WORKERS if self.hosts.processes(name, TRAINING)]

    def _start(self, command: list[str]) -> Command:
        log = self.hosts.state / f"command-{len(self.commands)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.commands.append(Command(process, log))
        return self.commands[-1]

    def restore(self) -> None:
        """Put every cable back, end runs that are left, and wait for the workers."""
        for name in WORKERS:
            self.hosts.mend(name)
        for command in self.commands:
            if command.process.poll() is None:
                command.process.send_signal(signal.SIGTERM)
                command.process.wait()
        for driver in self.drivers():
            driver.kill()
        self.wait_for_workers()


@contextmanager
def brought_up() -> Iterator[Cluster]:
    """Hosts with Ray on them, and the results ``ALONE`` of a run on one of them; all is removed after."""
    with Hosts() as hosts:
        cluster = Cluster(hosts)
        token = hosts.laptop("ray get-auth-token --generate && chmod 600 ~/.ray/auth_token")
        assert token.returncode == 0, token.stdout
        up = cluster.up()
        alone = cluster.run_on_laptop(ALONE)  # beside it: `ray up` mostly waits
        assert up.finish() == 0, up.text[-4000:]
        cluster.wait_for_workers()
        print(f"ray up {up.seconds:.0f} s, workers {time.monotonic() - up.started:.0f} s after its start")
        assert alone.finish() == 0, alone.text[-4000:]
        print(f"run on one machine, beside it: {alone.seconds:.0f} s")
        yield cluster
        cluster.down()
