"""The batch plan: which images step t trains on, as a function of (plan, seed, t) alone.

Training goes in passes. A pass covers the images that are in play when it starts, each exactly once, in an order of
its own, in batches whose sizes differ by one at most (so that no tiny last batch upsets batch normalisation). How many
images are in play is a function of progress, so the starts of all passes are known before the first step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.randomness import Purpose, generator

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One step's images: positions in the order of the plan, shape (B,), and the pass that they belong to."""

    step: int
    pass_number: int
    positions: IntArray
    last_of_pass: bool


class BatchPlan:
    """All batches of a training.

    Args:
        images: number of images in all.
        batch_size: the largest batch.
        steps: number of batches to plan.
        seed: of the order within each pass.
        active: progress in [0, 1] -> number of images, of the easiest first, are in play; None: all, always.
    """

    def __init__(
        self, images: int, batch_size: int, steps: int, seed: int, active: Callable[[float], int] | None = None
    ) -> None:
        self.batch_size, self.steps, self.seed = min(batch_size, images), steps, seed
        self._starts: list[int] = []
        self._sizes: list[int] = []
        self._order: tuple[int, IntArray] | None = None
        step = 0
        while step < steps:
            size = images if active is None else max(min(active(step / steps), images), self.batch_size)
            self._starts.append(step)
            self._sizes.append(size)
            step += self._batches(size)

    def _batches(self, size: int) -> int:
        return -(-size // self.batch_size)

    @property
    def passes(self) -> int:
        """Number of passes of the training, the last one possibly cut short."""
        return len(self._starts)

    def at(self, step: int) -> Batch:
        """The batch of a step in [0, steps)."""
        number = bisect_right(self._starts, step) - 1
        size = self._sizes[number]
        batches, place = self._batches(size), step - self._starts[number]
        order = self._pass_order(number, size)
        positions = order[place * size // batches : (place + 1) * size // batches]
        return Batch(step, number, positions, place == batches - 1)

    def pass_start(self, step: int) -> int:
        """The first step of the pass that a step belongs to."""
        return self._starts[bisect_right(self._starts, step) - 1]

    def pass_end(self, step: int) -> int:
        """The first step after the pass that a step belongs to, as if the steps did not end before."""
        number = bisect_right(self._starts, step) - 1
        return self._starts[number] + self._batches(self._sizes[number])

    def _pass_order(self, number: int, size: int) -> IntArray:
        if self._order is None or self._order[0] != number:
            stream = generator(self.seed, Purpose.BATCH_ORDER, number)
            self._order = (number, stream.permutation(size))
        return self._order[1]
