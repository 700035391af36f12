"""Observers of trainings inside Ray: they post the status, write the logbook and store checkpoints."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.artifacts.store import CHECKPOINT
from orchestrator.stages.job import Job
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.observer import ReportedRow
from orchestrator.training.pace import Timing

LOOK_SECONDS = 5.0  # a notice that the node leaves is looked for this often


class StageObserver:
    """Observer of a single-worker training: checkpoints at validations, at most every few seconds.

    Only one of several workers has a logbook.
    """

    def __init__(self, job: Job, logbook: Logbook | None) -> None:
        self.job, self.store, self.logbook = job, job.store, logbook
        self.accuracy: float | None = None
        self.last_checkpoint = self.looked = time.monotonic()
        self.leaves = False

    def load(self) -> bytes | None:
        return self.store.read_checkpoint(self.job.identity)

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        self.accuracy = row["validation_accuracy"]
        if self.logbook:
            self.logbook.row(row)
        if not self.checkpoint_is_due():
            return False
        self.store.write_checkpoint(self.job.identity, state())
        return True

    def checkpoint_is_due(self) -> bool:
        """Returns True if the last checkpoint is old enough, or the node is about to leave the cluster.

        The time then counts as that of a new one.
        """
        now = time.monotonic()
        if now - self.last_checkpoint < self.job.resources.checkpoint_seconds and not self._node_leaves(now):
            return False
        self.last_checkpoint = now
        return True

    def _node_leaves(self, now: float) -> bool:
        """Whether this node was told to leave, as it was known a few seconds ago."""
        import ray

        if now - self.looked >= LOOK_SECONDS and ray.is_initialized():
            from ray._private.state import state  # the notice of Ray's drain-node

            self.looked = now
            self.leaves = ray.get_runtime_context().get_node_id() in state.get_draining_nodes()
        return self.leaves

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        self.job.say(step=step, steps=steps, accuracy=self.accuracy, **vars(timing))


class RayTrainObserver(StageObserver):
    """Observer in a Ray Train worker: each validation is a report, with a checkpoint if one is due."""

    def load(self) -> bytes | None:
        import ray.train

        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            return (Path(folder) / CHECKPOINT).read_bytes()

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        import ray.train

        self.accuracy = row["validation_accuracy"]
        if self.logbook:
            self.logbook.row(row)
        if not self.logbook or not self.checkpoint_is_due():
            ray.train.report(row)
            return False
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / CHECKPOINT).write_bytes(state())
            ray.train.report(row, checkpoint=ray.train.Checkpoint.from_directory(folder))
        return True
