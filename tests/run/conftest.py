"""Real runs of the command line, each a subprocess, on real Ray, on generated images.

A run that is given no address starts a Ray of its own, as users' runs do; that takes it some ten seconds more.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]

TINY: dict[str, Any] = {
    "name": "tiny",
    "dataset": {
        "name": "synthetic",
        "validation": 64,
        "synthetic": {"images": 384, "test_images": 64, "classes": 4, "image_size": 16, "channels": 1},
    },
    # The TAs and the trials train long enough for a test to find them at it.
    "ladder": {
        "networks": [
            "plain_cnn_8",
            {"name": "plain_cnn_6", "steps": 300},
            {"name": "plain_cnn_4", "steps": 300},
            "plain_cnn_2",
        ]
    },
    "training": {"steps": 30, "batch_size": 32, "augmentation": "crop", "precision": "fp32"},
    "distillation": {"views": 3},
    "difficulty": {"held_out_folds": 2},
    "search": {"trials": 4, "round_size": 2, "steps": 200, "methods": ["ces_kd"]},
    "methods": ["labels", "kd", "ces_kd", "ces_random"],
    "seeds": [0, 1],
    "resources": {"checkpoint_seconds": 0},  # a checkpoint at every validation, for tests to find and to go on from
}


@dataclass(frozen=True)
class Finished:
    """Result of a command."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Place:
    """A folder with a recipe file and a storage."""

    folder: Path

    @property
    def storage(self) -> Path:
        return self.folder / "runs"

    def recipe(self, changes: Mapping[str, Any] | None = None) -> Path:
        path = self.folder / "recipe.yaml"
        path.write_text(yaml.safe_dump({**TINY, **(changes or {})}))
        return path

    def command(self, *arguments: str) -> list[str]:
        recipe = self.folder / "recipe.yaml"
        return [sys.executable, "-m", "orchestrator.run", str(recipe), "--storage", str(self.storage), *arguments]

    def run(self, *arguments: str, address: str | None = None) -> Finished:
        where = ("--address", address) if address else ()
        done = subprocess.run(
            self.command(*arguments, *where),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=900,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def report(self) -> dict[str, Any]:
        latest = (self.storage / "reports" / "latest").read_text()
        return json.loads((self.storage / "reports" / latest / "report.json").read_text())

    def artifacts(self) -> dict[str, dict[str, Any]]:
        """Every artifact's record by stage name."""
        records = [json.loads(path.read_text()) for path in self.storage.glob("artifacts/*/artifact.json")]
        return {record["name"]: record for record in records}


def environment() -> dict[str, str]:
    """The environment of a run: this checkout, and no token of the user's."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'run'}", "RAY_AUTH_MODE": "disabled"}


@contextmanager
def apart() -> Iterator[dict[str, str]]:
    """The environment of a cluster whose address no other command on this machine is to find."""
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp", ignore_cleanup_errors=True) as folder:  # short: sockets
        yield environment() | {"RAY_TMPDIR": folder}


def weights_of(place: Place) -> dict[str, str]:
    """The checksum of every final student's weights."""
    return {f"{row['method']}/{row['seed']}": row["weights_sha256"] for row in place.report()["methods"]}


def copy_of(place: Place, make_place: Callable[[], Place]) -> Place:
    """A place with everything that another one holds."""
    copied = make_place()
    shutil.copytree(place.folder, copied.folder, dirs_exist_ok=True)
    return copied


@pytest.fixture(scope="module")
def cluster(ray_address: str) -> Iterator[None]:
    """A connection to the session's Ray."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        ray.init(ray_address, log_to_driver=False, logging_level=logging.ERROR)
        yield
        ray.shutdown()
