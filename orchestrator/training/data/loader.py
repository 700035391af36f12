"""Batches of the training loop: groups of consecutive steps that are prepared and taught at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import tee

import numpy as np
import numpy.typing as npt
from torch import Tensor

from orchestrator.recipe.norm_groups import NormGroups
from orchestrator.training.data.batches import Batch, BatchPlan
from orchestrator.training.data.images import Images, Request
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
class _GroupPlan:
    """A group before its images are there: this worker's training image numbers of each step, and the view."""

    batches: list[Batch]
    parts: list[IntArray]
    view: int

    def request(self, trained_on: IntArray) -> Request:
        return trained_on[np.concatenate(self.parts)], [self.view]

    def shown(self, pixels: Tensor) -> StepGroup:
        shown = Shown(np.concatenate(self.parts), self.view, pixels)
        return StepGroup(self.batches, shown, [len(part) for part in self.parts])


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
        plans, coming = tee(self._plans(step))  # the images are asked for ahead of the groups
        with closing(self.images.stream(plan.request(self.trained_on) for plan in coming)) as stream:
            for plan, pixels in zip(plans, stream, strict=False):
                yield plan.shown(pixels[0])

    def group(self, step: int) -> StepGroup:
        """Returns the group that begins with a step."""
        plan = next(self._plans(step))
        return plan.shown(self.images.views(*plan.request(self.trained_on))[0])

    def _plans(self, step: int) -> Iterator[_GroupPlan]:
        while step < self.plan.steps:
            validation = step - step % self.interval + self.interval
            until = min(step + self.at_once, self.plan.pass_end(step), validation, self.plan.steps)
            batches = [self.plan.at(number) for number in range(step, until)]
            view = view_of_pass(batches[0].pass_number, self.views)
            yield _GroupPlan(batches, [self.numbers(batch) for batch in batches], view)
            step = until

    def numbers(self, batch: Batch) -> IntArray:
        """Returns the training image numbers of this worker's part of a batch."""
        pieces = self.norm_groups.pieces(len(batch.positions), self.rank)
        return self.order[batch.positions[pieces[0].start : pieces[-1].stop]]

    def piece_sizes(self, batch: Batch) -> list[int]:
        """Returns the number of images of each norm group in this worker's part of a batch."""
        return [len(piece) for piece in self.norm_groups.pieces(len(batch.positions), self.rank)]
