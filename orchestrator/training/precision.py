"""Numeric precision of a training or a forward pass, and the measurement that chooses it.

Flags of a processor do not say which precision is faster: of two that list AVX512-BF16, one took 0.70 of fp32's time
for a plain CNN's step, the other 1.35 times fp32's. So ``training.precision: auto`` is decided by timing.
"""

from __future__ import annotations

import platform
import statistics
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.choices import OptimizerSpec, Precision
from orchestrator.training import optim
from orchestrator.training.networks import new_network

MARGIN = 0.95  # bf16 must take less than this share of fp32's time: for less, fp32 is the safer choice
SECONDS = 1.0  # the measurement takes about this long
LONGEST_STEP = 0.1  # seconds; a smaller batch is timed where a whole one would take longer
SMALLEST_BATCH = 2  # batch normalisation needs two images where a map has one pixel
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class StepTimes:
    """Median seconds of one training step in each precision, measured in turns."""

    fp32: float
    bf16: float
    batch_size: int
    rounds: int

    @property
    def faster(self) -> Precision:
        """Returns the precision to train in."""
        return "bf16" if self.bf16 < MARGIN * self.fp32 else "fp32"


def measure(network: NetworkSpec, optimizer: OptimizerSpec, batch_size: int, device: torch.device) -> StepTimes:
    """Time training steps of a network on random images in both precisions, in turns, for about a second.

    The random generator of torch is left as it was found.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        step = _Step(network, optimizer, device)
        batch = min(batch_size, SMALLEST_BATCH)
        step.seconds(batch, bf16=False)  # the first steps choose kernels and allocate memory
        while batch < batch_size and 2 * step.seconds(batch, bf16=False) <= LONGEST_STEP:
            batch = min(2 * batch, batch_size)
        times: dict[bool, list[float]] = {False: [], True: []}
        for bf16 in times:
            step.seconds(batch, bf16)
        began = time.monotonic()
        while len(times[True]) < LEAST_ROUNDS or time.monotonic() - began < SECONDS:
            for bf16, taken in times.items():
                taken.append(step.seconds(batch, bf16))
    return StepTimes(statistics.median(times[False]), statistics.median(times[True]), batch, len(times[True]))


class _Step:
    """A training step on images that are random, as the loop takes it."""

    def __init__(self, network: NetworkSpec, optimizer: OptimizerSpec, device: torch.device) -> None:
        self.spec, self.device = network, device
        self.network = new_network(network, seed=0).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        self.optimizer = optim.build(optimizer, self.network.parameters())

    def seconds(self, batch_size: int, bf16: bool) -> float:
        """Returns how long one step takes."""
        shape = (batch_size, self.spec.channels, self.spec.image_size, self.spec.image_size)
        pixels = torch.randn(shape, device=self.device).to(memory_format=torch.channels_last)
        labels = torch.randint(self.spec.classes, (batch_size,), device=self.device)
        self._wait()
        began = time.perf_counter()
        with autocast(self.device, bf16):
            logits = self.network(pixels)
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()
        self.optimizer.step()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def kind_of_machine(device: torch.device) -> str:
    """Returns the name of the GPU or processor that ``device`` is, as the system says it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager[None]:
    """Returns the autocast context of a forward pass."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)
