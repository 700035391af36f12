"""A folder in which the examples of all pages run, one after the other, on one Ray."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator import run
from tests.docs.pages import ROOT, Block, blocks, commands, pages

PROGRAM = "python -m orchestrator.run "
SERVE_RAY = """
import ray, sys
print(ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False).address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@dataclass
class Workplace:
    """A folder with the files that the pages show, the results of commands that were run in it, and Ray's address."""

    folder: Path
    ray: str
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    names: dict[str, dict[str, Any]] = field(default_factory=dict)  # of each page's Python blocks

    def shell(self, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command line, once."""
        if command not in self.done:
            self.done[command] = subprocess.run(
                ["bash", "-euc", command], cwd=self.folder, env=environment(), capture_output=True, text=True,
                timeout=timeout,
            )  # fmt: skip
        return self.done[command]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the program for real, on the shared Ray."""
        return self.shell(f"{command} --address {self.ray}", timeout=400)

    def dry_run(self, command: str) -> int:
        """The exit code of a command of the program that only plans, in this process; its messages are printed."""
        arguments = shlex.split(command.removeprefix(PROGRAM), comments=True)
        with contextlib.chdir(self.folder):
            return run.main([*arguments, *(["--dry-run"] if "--dry-run" not in arguments else [])])

    def execute(self, block: Block, code: str) -> None:
        """Execute Python, with the names of the page's blocks before it."""
        names = self.names.setdefault(block.page, {"__name__": "__main__"})
        with contextlib.chdir(self.folder):
            exec(compile(code, str(block), "exec"), names)


def environment() -> dict[str, str]:
    """This checkout, this Python, and no token of the user's."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "disabled",
    }


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray that lasts as long as the tests."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE_RAY], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None and server.stdin is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Iterator[Workplace]:
    """The workplace: what the pages suppose to be there is there."""
    folder = tmp_path_factory.mktemp("docs")
    for page in pages():
        for block in blocks(page):
            if block.file:
                (folder / block.file).write_text(block.text)
    (folder / "docs").mkdir()
    _write_photos(folder / "data" / "photos")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield Workplace(folder, ray_address)
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def finished(place: Workplace) -> Workplace:
    """The workplace after the run that docs/README.md shows first."""
    first = next(block for block in blocks(pages()[0]) if block.kind == "sh")
    done = place.run(commands(first)[0])
    assert done.returncode == 0, done.stderr[-3000:]
    return place


def _write_photos(root: Path) -> None:
    """Photos of noise in the layout that docs/your_data.md describes."""
    generator = np.random.default_rng(0)
    for subset, count in (("train", 20), ("val", 4)):
        for label in ("cat", "dog"):
            (root / subset / label).mkdir(parents=True)
            for number in range(count):
                photo = Image.fromarray(generator.integers(0, 256, (80, 70, 3), dtype=np.uint8))
                photo.save(root / subset / label / f"{number}.jpg")
