"""Batches of the training loop: groups of consecutive steps that are prepared and taught at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.recipe.norm_groups import NormGroups
from orchestrator.training.data.batches import Batch, BatchPlan
from orchestrator.training.data.images import Images
from orchestrator.training.data.views import view_of_pass
from orchestrator.training.guidance.experts import Shown

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StepGroup:
    """Consecutive steps of one pass: the images of all of them, and the number of each step's on this worker."""

    batches: list[Batch]
    shown: Shown
    sizes: list[int]


@dataclass(frozen=True)
class Loader:
    """Groups of steps, as functions of their first step alone.

    A group has ``at_once`` steps, but never goes beyond its pass or a validation, every ``interval`` steps. So counts
    at a validation are of the steps before it, and a training that resumes there makes the same groups.

    Args:
        images: source of the views of the data set's images.
        trained_on: the data set's numbers of the training images, (N,).
        order: the training images in the order of the plan, (N,).
        views: number of views of an image, 0 for a new one in every pass.
        norm_groups: norm groups of a batch, of which this worker has its part.
        rank: this worker's.
    """

    images: Images
    trained_on: IntArray
    plan: BatchPlan
    order: IntArray
    views: int
    interval: int
    at_once: int
    norm_groups: NormGroups
    rank: int

    def groups(self, step: int) -> Iterator[StepGroup]:
        """Yields all groups from a step on."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            ahead: Future[StepGroup] | None = None
            while step < self.plan.steps:
                group = ahead.result() if ahead else self.group(step)
                step += len(group.batches)
                # Decoding photos is worth a second thread; a gather in memory is not.
                follows = self.images.prefetch and step < self.plan.steps
                ahead = pool.submit(self.group, step) if follows else None
                yield group

    def group(self, step: int) -> StepGroup:
        """Returns the group that begins with a step."""
        validation = step - step % self.interval + self.interval
        until = min(step + self.at_once, self.plan.pass_end(step), validation, self.plan.steps)
        batches = [self.plan.at(number) for number in range(step, until)]
        parts = [self.numbers(batch) for batch in batches]
        numbers = np.concatenate(parts)
        view = view_of_pass(batches[0].pass_number, self.views)
        pixels = self.images.views(self.trained_on[numbers], [view])[0]
        return StepGroup(batches, Shown(numbers, view, pixels), [len(part) for part in parts])

    def numbers(self, batch: Batch) -> IntArray:
        """Returns the training image numbers of this worker's part of a batch."""
        pieces = self.norm_groups.pieces(len(batch.positions), self.rank)
        return self.order[batch.positions[pieces[0].start : pieces[-1].stop]]

    def piece_sizes(self, batch: Batch) -> list[int]:
        """Returns the number of images of each norm group in this worker's part of a batch."""
        return [len(piece) for piece in self.norm_groups.pieces(len(batch.positions), self.rank)]
