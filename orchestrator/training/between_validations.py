"""Checkpoints between validations: when one is written, and what it holds that a validation would have settled.

Between validations each worker has values of its own: running statistics of batch normalisation, and the sums that a
validation reads. A checkpoint holds those of every worker, so that a training that resumes from it computes the same
numbers as one that was not disturbed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from orchestrator.training.running_metrics import RunningMetrics
from orchestrator.training.world import World

MEETING_SECONDS = 5.0  # between two answers of the main worker, about


class CheckpointTurns:
    """Decides at which steps a checkpoint is written; the same on every worker.

    The main worker decides, and the others learn of it at a meeting, which waits for the device. With each answer it
    tells how many steps later the next meeting is, by the pace since the last one: about every five seconds, in fewer
    steps at first. One worker alone needs no meeting.

    Args:
        is_due: returns whether a checkpoint is due by now; called on the main worker alone.
        world: this worker's place among the others.
        device: of this process.
        step: the step at which the training starts or resumes.
    """

    def __init__(self, is_due: Callable[[], bool], world: World, device: torch.device, step: int) -> None:
        self.is_due, self.world, self.device = is_due, world, device
        self.ahead = 1  # steps from the next meeting to the one after it, as the main worker sees it
        self.met_step, self.met = step, time.monotonic()
        self.next = step + 1

    def has_come(self, step: int) -> bool:
        """Returns whether a checkpoint is to be written after so many steps."""
        if self.world.size == 1:
            return self.is_due()
        if step < self.next:
            return False
        due, ahead = self.world.first([int(self.world.main() and self.is_due()), self.ahead], self.device)
        self.next = step + ahead
        now = time.monotonic()
        each = (now - self.met) / (step - self.met_step)
        # Twice as many at most: the first steps may be fast or slow, and those of a GPU are queued.
        self.ahead = max(1, min(2 * ahead, int(MEETING_SECONDS / max(each, 1e-9))))
        self.met_step, self.met = step, now
        return bool(due)


def own_values(buffers: Sequence[Tensor], sums: RunningMetrics) -> Tensor:
    """Returns the values that this worker alone has, float64 (V,): the sums, then the buffers.

    float64 holds every value of narrower types, and whole numbers up to 2^53.
    """
    return torch.cat([sums.state(), *(buffer.detach().double().flatten() for buffer in buffers)])


def restore_own_values(values: Tensor, buffers: Sequence[Tensor], sums: RunningMetrics, world: World) -> None:
    """Give this worker the values that it had, or its share where the number of workers is another one.

    Args:
        values: ``own_values`` of every worker of the training that wrote them, (workers, V).
        buffers: as in ``own_values``.
        sums: as in ``own_values``.
        world: this worker's place among those that resume.
    """
    if len(values) != world.size:  # all buffers stay the main worker's, and it takes on the sums
        if world.main():
            sums.restore(sums.joined(values))
        return
    own = values[world.rank]
    sums.restore(own)
    start = len(sums.state())
    for buffer in buffers:
        buffer.copy_(own[start : start + buffer.numel()].view_as(buffer))
        start += buffer.numel()
