"""Norm groups: the consecutive groups of images that a batch is cut into, and the workers that compute them.

Batch normalisation takes its statistics over one group. The cut follows from the batch and ``training.norm_batch``
alone, never from the number of workers, so that workers change how fast a network trains and not what it learns. Pure
arithmetic; imports neither torch nor ray.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class NormGroups:
    """The groups of every batch of a training.

    With as many groups as workers or more, each worker computes whole groups; with fewer, consecutive workers share
    one.

    Attributes:
        count: groups of a batch.
        workers: workers of the training.
    """

    count: int = 1
    workers: int = 1

    @classmethod
    def of(cls, batch_size: int, norm_batch: int | None, workers: int = 1) -> NormGroups:
        """Returns the groups of batches of ``batch_size`` images, each of ``norm_batch`` at most; None: one group."""
        return cls(1 if norm_batch is None else math.ceil(batch_size / norm_batch), workers)

    @property
    def are_shared(self) -> bool:
        """Whether a group has more than one worker."""
        return self.count < self.workers

    def own(self, rank: int) -> range:
        """Returns the groups that a worker computes, or the one that it has a share of."""
        first = rank * self.count // self.workers
        return range(first, max(first + 1, (rank + 1) * self.count // self.workers))

    def peers(self, rank: int) -> range:
        """Returns the workers, by rank, that share a worker's groups, itself among them."""
        if not self.are_shared:
            return range(rank, rank + 1)
        return self.sharing(self.own(rank).start)

    def sharing(self, group: int) -> range:
        """Returns the workers that share a group, where groups are shared."""
        return range(-(-group * self.workers // self.count), -(-(group + 1) * self.workers // self.count))

    def weight(self, rank: int) -> float:
        """Returns a worker's share of all groups; the shares of all workers add up to 1."""
        return len(self.own(rank)) / self.count / len(self.peers(rank))

    def pieces(self, images: int, rank: int) -> list[range]:
        """Returns a worker's positions in a batch of so many images, one range a group."""
        groups = [range(group * images // self.count, (group + 1) * images // self.count) for group in self.own(rank)]
        if not self.are_shared:
            return groups
        (group,), peers = groups, self.peers(rank)
        place, count = rank - peers.start, len(peers)
        return [group[place * len(group) // count : (place + 1) * len(group) // count]]

    def largest_piece(self, batch_size: int) -> int:
        """Returns the most images of one group that a worker computes; they must go through the network together."""
        largest = math.ceil(batch_size / self.count)
        return math.ceil(largest / (self.workers // self.count)) if self.are_shared else largest


def forward_passes(sizes: Iterable[int], micro_batch: int | None) -> list[list[int]]:
    """Returns the sizes of a worker's pieces by forward pass, of ``micro_batch`` images at most; None: one pass.

    A larger piece is a pass of its own.
    """
    passes: list[list[int]] = []
    for size in sizes:
        if passes and (micro_batch is None or sum(passes[-1]) + size <= micro_batch):
            passes[-1].append(size)
        else:
            passes.append([size])
    return passes
