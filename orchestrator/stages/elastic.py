"""Elastic trainings: those whose number of workers follows the room of the cluster, between two limits.

A training starts with as many workers as find room, and then asks for the others by a placement group each: the
autoscaler sees them as demand, and a group that has found its place holds the room. At a later checkpoint all workers
end, and the training goes on from there with more. After it has lost a worker it goes on with as many as there is room
for then.

Ray Train's own elastic workers (``num_workers=(min, max)``) go by the resources of nodes less those of other runs of
Train and Data, not by what tasks and trials hold (Ray 2.60): a training could end its workers for room that a student
has.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from orchestrator.pipeline.placement import Placement, room_on
from orchestrator.stages.job import Job
from orchestrator.stages.observers import RayTrainObserver
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.observer import ReportedRow
from orchestrator.training.world import World


class NoRoomError(Exception):
    """Workers of an elastic training found no room, or lost it to a node that was told to leave."""


class GrowthError(Exception):
    """Raised in all workers, after a checkpoint, when the training is to go on with more: ``workers`` of them."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.workers = workers


def is_of_room(error: Exception) -> bool:
    """Whether Ray Train failed for want of room: its workers found none in time, or their node was taken back."""
    names = {type(found).__name__ for found in (error, getattr(error, "controller_failure", None))}
    return bool(names & {"WorkerGroupStartupTimeoutError", "PreemptionError"})


def workers_to_start(placement: Placement) -> int:
    """Returns with how many workers a training is to start: those that have room now, but not less than it needs.

    For those that it needs Ray waits. Nodes that are about to leave do not count.
    """
    if placement.fewest_workers is None:
        return placement.workers
    from ray._private.state import available_resources_per_node, state  # as the capacity of the cluster is read

    leaving = set(state.get_draining_nodes())
    free = [resources for node, resources in available_resources_per_node().items() if node not in leaving]
    room = sum(room_on(resources, placement.cpus, placement.gpus) for resources in free)
    return int(min(max(room, placement.fewest_workers), placement.workers))


class ElasticObserver(RayTrainObserver):
    """Observer in a worker of an elastic training.

    The main worker asks for those that are missing. Ray gives the groups back when its process ends, however it does.

    Args:
        job: the training.
        logbook: of the main worker.
        world: this worker's place among the others.
        device: of this process.
        steps: steps of the training in all.

    Raises:
        GrowthError: in all workers after a checkpoint, once there is room for more of them.
    """

    def __init__(self, job: Job, logbook: Logbook | None, world: World, device: torch.device, steps: int) -> None:
        from ray.util import placement_group

        super().__init__(job, logbook)
        self.world, self.device, self.steps = world, device, steps
        self.began = time.monotonic()
        placement = job.placement
        bundle = {"CPU": float(placement.cpus)} | ({"GPU": placement.gpus} if placement.gpus else {})
        missing = placement.workers - world.size if world.main() else 0
        self.groups = [placement_group([bundle]) for _ in range(missing)]

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        written = super().evaluated(row, state)
        if row["step"] < self.steps:
            self._grow(written)
        return written

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        super().checkpoint(state)
        self._grow(written=True)

    def _grow(self, written: bool) -> None:
        """End all workers where the main one has written a checkpoint and others have found room."""
        steady = time.monotonic() - self.began >= self.job.resources.resize_seconds
        (more,) = self.world.first([self._placed() if written and steady else 0], self.device)
        if more:
            raise GrowthError(self.world.size + more)

    def _placed(self) -> int:
        from ray.util import placement_group_table

        return sum(placement_group_table(group).get("state") == "CREATED" for group in self.groups)

    def close(self) -> None:
        from ray.util import remove_placement_group

        for group in self.groups:
            remove_placement_group(group)
        super().close()
