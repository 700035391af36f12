"""Interleaved rounds and their tables, since on a shared machine only ratios within one round are comparable."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results.md"
PACKAGES = ("ray", "torch", "torchvision", "numpy", "torchdistill")


@dataclass(frozen=True)
class Spread:
    """A figure over several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median, minimum and maximum of some values."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Returns the seconds that the work takes; with ``time.process_time``, of this process's CPU time."""
    start = clock()
    work()
    return clock() - start


def interleave(
    sides: Mapping[str, Callable[[], object]], rounds: int, say: Callable[[str], None] = print,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:  # fmt: skip
    """Seconds of each side in each round; every round runs all sides, every other one in the opposite order.

    One round before them warms caches up and is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        names = list(sides) if number % 2 else list(sides)[::-1]
        for name in names:
            took = seconds(sides[name], clock)
            if number:
                found[name].append(took)
        say(f"  round {number} of {rounds}" if number else "  warmed up")
    return found


def ratios(found: Mapping[str, Sequence[float]], floor: str) -> dict[str, Spread]:
    """Each side's seconds as multiples of the floor's in the same round."""
    return {
        name: Spread.of([mine / its for mine, its in zip(values, found[floor], strict=True)])
        for name, values in found.items()
    }


def machine() -> str:
    """The processor, the GPU if there is one, and the versions that speed depends on."""
    import torch

    from orchestrator.export.latency import processor

    parts = [f"{len(os.sched_getaffinity(0))} cores of {processor()}"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    for package in PACKAGES:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join([*parts, f"Python {platform.python_version()}"])


def append(name: str, text: str) -> None:
    """Add a benchmark's table to ``results.md`` with date, machine and versions."""
    with RESULTS.open("a") as stream:
        stream.write(f"\n## {name}, {date.today().isoformat()}\n\n{machine()}\n\n{text}\n")
