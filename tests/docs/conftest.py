"""Folder in which the examples of all pages run, on one Ray."""

from __future__ import annotations

import contextlib
import importlib
import json
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
from tests.datasets.tables import table, write_parquet
from tests.docs.pages import ROOT, Block, blocks, commands, pages

PROGRAM = "python -m orchestrator.run"


@dataclass
class Workplace:
    """A folder with the files that the pages show, and what came of the commands that were run in it."""

    folder: Path
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    names: dict[str, dict[str, Any]] = field(default_factory=dict)  # of each page's Python blocks
    executed: set[Block] = field(default_factory=set)
    report: dict[str, Any] = field(default_factory=dict)  # of the run that docs/README.md shows

    def shell(self, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command line, once."""
        if command not in self.done:
            self.done[command] = subprocess.run(
                ["bash", "-euc", command], cwd=self.folder, env=environment(), capture_output=True, text=True,
                timeout=timeout,
            )  # fmt: skip
        return self.done[command]

    def run(self, command: str, ray_address: str) -> None:
        """Run a command of the program for real, once; it must end well."""
        done = self.shell(f"{command} --address {ray_address}", timeout=400)
        assert done.returncode == 0, done.stderr[-3000:]

    def dry_run(self, command: str) -> int:
        """The exit code of a command of the program that only plans and checks, in this process."""
        with within(self.folder):
            return run.main([*words_of(command), "--dry-run"])

    def execute(self, block: Block, code: str) -> None:
        """Execute Python, once, with the names of the page's blocks before it."""
        if block in self.executed:
            return
        self.executed.add(block)
        names = self.names.setdefault(block.page, {"__name__": "__main__"})
        with within(self.folder):
            exec(compile(code, str(block), "exec"), names)


def words_of(command: str) -> list[str]:
    """Returns the arguments of a command of the program."""
    return shlex.split(command.removeprefix(PROGRAM), comments=True)


@contextlib.contextmanager
def within(folder: Path) -> Iterator[None]:
    """Work in a folder, from which modules can be imported as they can where Python is started there."""
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)


def environment() -> dict[str, str]:
    """This checkout, this Python, and no token of the user's."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "disabled",
    }


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The folder: the files that the pages show, and the photos and shards that docs/your_data.md supposes."""
    folder = tmp_path_factory.mktemp("docs")
    for page in pages():
        for block in blocks(page):
            if block.file:
                (folder / block.file).write_text(block.text)
    (folder / "docs").mkdir()
    _write_photos(folder / "data" / "photos")
    parts = {
        "train-00000-of-00002": 20,
        "train-00001-of-00002": 20,
        "validation-00000-of-00001": 8,
        "test-00000-of-00001": 8,
    }
    shards = {f"data/{name}.parquet": table([0, 1] * (count // 2)) for name, count in parts.items()}
    write_parquet(folder / "data" / "shards", shards)
    made = Workplace(folder)
    assert made.shell("python make_shapes.py").returncode == 0
    return made


@pytest.fixture(scope="session")
def finished(place: Workplace, ray_address: str) -> Workplace:
    """The folder after the run that docs/README.md shows."""
    shown = next(block for block in blocks(pages()[0]) if block.kind == "sh")
    place.run(commands(shown)[0], ray_address)
    reports = place.folder / "runs" / "reports"
    place.report = json.loads((reports / (reports / "latest").read_text().strip() / "report.json").read_text())
    return place


def _write_photos(root: Path) -> None:
    generator = np.random.default_rng(0)
    for subset, count in (("train", 20), ("val", 4), ("test", 4)):
        for label in ("cat", "dog"):
            (root / subset / label).mkdir(parents=True)
            for number in range(count):
                photo = Image.fromarray(generator.integers(0, 256, (80, 70, 3), dtype=np.uint8))
                photo.save(root / subset / label / f"{number}.jpg")
