"""Observers of trainings inside Ray: they post the status, write the logbook and store checkpoints."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.artifacts.store import CHECKPOINT
from orchestrator.stages.gauges import TrainingGauges
from orchestrator.stages.job import Job
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.observer import ReportedRow
from orchestrator.training.pace import Timing

LOOK_SECONDS = 5.0  # a notice that the node leaves is looked for this often
LEAST_SECONDS = 5.0  # between a checkpoint and one that does not wait for a validation
LARGEST_SHARE = 0.05  # of the time, that is spent on checkpoints between validations


class StageObserver:
    """Observer of a single-worker training: checkpoints as ``resources.checkpoint_seconds`` asks for.

    One is written at the first validation for which the last one is old enough, and between validations where they are
    farther apart: long passes over a large data set are not lost. Only one of several workers has a logbook.
    """

    def __init__(self, job: Job, logbook: Logbook | None) -> None:
        self.job, self.store, self.logbook = job, job.store, logbook
        self.gauges = TrainingGauges(job.recipe, job.name)
        self.accuracy: float | None = None
        self.last_checkpoint = self.looked = time.monotonic()
        self.checkpoint_took = 0.0
        self.leaves = False

    def load(self) -> bytes | None:
        return self.store.read_checkpoint(self.job.identity)

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        self.accuracy = row["validation_accuracy"]
        if self.logbook:
            self.logbook.row(row)
        if not self._is_old_enough():
            return False
        self.checkpoint(state)
        return True

    def checkpoint_is_due(self) -> bool:
        return self._is_old_enough(LEAST_SECONDS, self.checkpoint_took / LARGEST_SHARE)

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        with self._timed():
            self.store.write_checkpoint(self.job.identity, state())

    def _is_old_enough(self, least: float = 0.0, wanted: float = 0.0) -> bool:
        """Whether the last checkpoint is old enough: at least so many seconds, the others unless the node leaves."""
        now = time.monotonic()
        age = now - self.last_checkpoint
        if age < least:
            return False
        return age >= max(wanted, self.job.resources.checkpoint_seconds) or self._node_leaves(now)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Measures the time that a checkpoint takes."""
        began = time.monotonic()
        yield
        self.last_checkpoint = time.monotonic()
        self.checkpoint_took = self.last_checkpoint - began

    def _node_leaves(self, now: float) -> bool:
        """Whether a node of this training was told to leave, as it was known a few seconds ago."""
        import ray

        if now - self.looked >= LOOK_SECONDS and ray.is_initialized():
            from ray._private.state import state  # the notice of Ray's drain-node

            self.looked = now
            self.leaves = self._has_work_on(set(state.get_draining_nodes()))
        return self.leaves

    def _has_work_on(self, nodes: set[str]) -> bool:
        """Whether this training may have a worker on any of the nodes of these ids."""
        import ray

        return ray.get_runtime_context().get_node_id() in nodes

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        self.show(step, timing)
        self.job.say(step=step, steps=steps, accuracy=self.accuracy, **vars(timing))

    def show(self, step: int, timing: Timing) -> None:
        """Set the training's gauges."""
        waiting = timing.waiting_for_data
        self.gauges.show(step=step, images_per_second=timing.images_per_second, waiting_for_data=waiting)

    def close(self) -> None:
        """Called once the training has ended, however it did."""
        self.gauges.close()


class RayTrainObserver(StageObserver):
    """Observer in a Ray Train worker: each validation, and each checkpoint, is a report."""

    def load(self) -> bytes | None:
        import ray.train

        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            return (Path(folder) / CHECKPOINT).read_bytes()

    def _has_work_on(self, nodes: set[str]) -> bool:
        return bool(nodes)  # where the other workers are is not known here

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        self.accuracy = row["validation_accuracy"]
        if self.logbook:
            self.logbook.row(row)
        written = self.logbook is not None and self._is_old_enough()
        self._report(row, state if written else None)
        return written

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        self._report({}, state if self.logbook else None)

    def _report(self, row: ReportedRow, state: Callable[[], bytes] | None) -> None:
        """Report to Ray Train, as all workers do at once, with the checkpoint of a state."""
        import ray.train

        if state is None:
            ray.train.report(row)
            return
        with self._timed(), tempfile.TemporaryDirectory() as folder:
            (Path(folder) / CHECKPOINT).write_bytes(state())
            ray.train.report(row, checkpoint=ray.train.Checkpoint.from_directory(folder))
