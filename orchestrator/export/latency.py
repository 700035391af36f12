"""Latency of one image: every file and the teacher's in turn, so that a disturbance of the machine meets all.

Each side runs twice in its turn and the second pass counts: a network that serves images one after the other has its
weights in the processor's caches, and the side before it does not leave them there.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

WARM_UP = 20  # rounds before the first that counts
LEAST_ROUNDS, ROUNDS, MOST_SECONDS = 20, 300, 10.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one image: median, and the 10th and 90th of a hundred."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Timing:
    """Latencies by name, and how they stand to each other: ``ratio`` takes the median over rounds of a / b."""

    milliseconds: Mapping[str, np.ndarray]
    rounds: int

    def latency(self, name: str) -> Latency:
        """One side's latency."""
        low, median, high = np.percentile(self.milliseconds[name], [10, 50, 90])
        return Latency(float(median), float(low), float(high))

    def ratio(self, name: str, other: str) -> float:
        """One side's latency as a multiple of the other's."""
        return float(np.median(self.milliseconds[name] / self.milliseconds[other]))


def measure(sides: Mapping[str, Callable[[], object]]) -> Timing:
    """Run every side once a round, every other round in the opposite order, until there are enough rounds.

    torch is held to one thread meanwhile; a side that brings threads of its own must hold them itself.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    with _one_thread():
        started = time.perf_counter()
        for number in range(-WARM_UP, ROUNDS):
            for name in list(sides) if number % 2 else reversed(list(sides)):
                sides[name]()  # the side before it took the caches
                start = time.perf_counter()
                sides[name]()
                took = time.perf_counter() - start
                if number >= 0:
                    found[name].append(1000 * took)
            if number + 1 >= LEAST_ROUNDS and time.perf_counter() - started > MOST_SECONDS:
                break
    rounds = len(next(iter(found.values())))
    return Timing({name: np.array(values) for name, values in found.items()}, rounds)


def processor() -> str:
    """The processor's name, as far as the system says it."""
    name = platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return name


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
