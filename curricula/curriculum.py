"""A curriculum: difficulty order, pacing and selection put together, as pure functions of progress.

The mode determines what the pacing's fraction g applies to:

    static     everything is in play from the start; each image keeps its selected expert
    reveal     the easiest ceil(g N) of N images are in play
    promote    everything is in play; the E experts open from small to large: min(selected expert, ceil(g E) - 1)
    both       reveal and promote together
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curricula.checks import FRACTION_TOLERANCE, IntArray, integers, unknown_name
from curricula.pacing import Pacing
from curricula.readiness import Confidences, Readiness
from curricula.selection import Selection

MODES = ("static", "reveal", "promote", "both")


def share(fraction: float, whole: int) -> int:
    """Returns ceil(fraction * whole), at least 1; a fraction less than 1e-9 above k / whole counts as k / whole.

    Without that tolerance, a rounding error in a pacing formula could open an expert too early.
    """
    return max(1, math.ceil((fraction - FRACTION_TOLERANCE) * whole))


@dataclass(frozen=True, eq=False)
class Curriculum:
    """Images in play, and the expert of each, as functions of progress, for N images and E experts.

    Progress is steps done / steps in all, in [0, 1]; methods raise ValueError for a progress outside.

    Attributes:
        readiness: for the selector ``ready``, the experts' confidences; the selection's experts are then those of a
            student that has seen no image.

    Raises:
        ValueError: naming the field, for an unknown mode and for a selection of other than ``expert_count`` experts.
    """

    selection: Selection
    pacing: Pacing
    mode: str
    expert_count: int
    readiness: Readiness | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise unknown_name("mode", self.mode, MODES)
        integers("selection.experts", self.selection.experts, len(self.selection.ranks), self.expert_count)

    @property
    def image_count(self) -> int:
        """N."""
        return len(self.selection.ranks)

    @cached_property
    def order(self) -> IntArray:
        """Images from the easiest to the hardest by the selection's ranks: int64 (N,), read-only."""
        order = np.argsort(self.selection.ranks, kind="stable").astype(np.int64)
        order.flags.writeable = False
        return order

    def fraction(self, progress: float) -> float:
        """Returns the pacing's fraction g, in (0, 1]."""
        return self.pacing(progress)

    def active_count(self, progress: float, minimum: int = 1) -> int:
        """Returns the number of images in play: at least ``minimum`` (a batch, say), at most N."""
        fraction = self.fraction(progress)
        if self.mode in ("static", "promote"):
            return self.image_count
        return min(self.image_count, max(minimum, share(fraction, self.image_count)))

    def active(self, progress: float, minimum: int = 1) -> IntArray:
        """Returns the images in play, easiest first: int64 (active_count,), a read-only view of ``order``."""
        return self.order[: self.active_count(progress, minimum)]

    def expert_limit(self, progress: float) -> int:
        """Returns the number of the largest open expert, in [0, E)."""
        fraction = self.fraction(progress)
        if self.mode in ("static", "reveal"):
            return self.expert_count - 1
        return share(fraction, self.expert_count) - 1

    def experts_at(self, progress: float) -> IntArray:
        """Returns the expert of every image, in play or not: int64 (N,)."""
        return np.minimum(self.selection.experts, self.expert_limit(progress))

    def experts_of(self, images: IntArray, progress: float, student: Confidences | None = None) -> IntArray:
        """Returns the expert of some images, int64 (B,).

        Args:
            images: their numbers, (B,).
            progress: as above.
            student: with ``readiness``, its argument of that name, (B,).
        """
        if self.readiness is not None and student is not None:
            chosen = self.readiness.experts(images, student)
        else:
            chosen = self.selection.experts[images]
        return np.minimum(chosen, self.expert_limit(progress))

    def frequencies(self, progress: float, minimum: int = 1) -> IntArray:
        """Returns the number of images in play that each expert teaches: int64 (E,), of sum active_count."""
        experts = self.experts_at(progress)[self.active(progress, minimum)]
        return np.bincount(experts, minlength=self.expert_count).astype(np.int64)
