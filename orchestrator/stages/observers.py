"""Who listens to a training inside Ray: the progress board, TensorBoard curves, and where its checkpoints go."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
from tensorboardX import SummaryWriter

from orchestrator.stages.job import Job

CHECKPOINT = "state.safetensors"


class Curves:
    """TensorBoard curves of one training, below ``logs/`` of the storage (on an object store: written at the end)."""

    def __init__(self, job: Job) -> None:
        self.store = job.store
        self.parts = ("logs", *job.name.split("/"), job.identity.rsplit("-", 1)[-1][:8])
        local = self.store.local_root
        self.folder = local.joinpath(*self.parts) if local else Path(tempfile.mkdtemp(prefix="curves-"))
        self.writer = SummaryWriter(str(self.folder), flush_secs=10)

    def row(self, row: dict[str, Any]) -> None:
        """Add one line of a training's history."""
        for name, value in row.items():
            if name not in ("step", "seconds"):
                self.writer.add_scalar(name, value, row["step"])
        self.writer.flush()

    def close(self) -> None:
        """End the file, and bring it to the storage where that is no mounted folder."""
        self.writer.close()
        if self.store.local_root is None:
            target = self.store.path(*self.parts)
            self.store.filesystem.create_dir(target, recursive=True)
            pafs.copy_files(str(self.folder), target, destination_filesystem=self.store.filesystem)


class StageObserver:
    """The listener of a training in a process of its own: checkpoints at validations, at most every few seconds."""

    def __init__(self, job: Job) -> None:
        self.job, self.store = job, job.store
        self.accuracy: float | None = None
        self.last_checkpoint = time.monotonic()

    def load(self) -> bytes | None:
        return self.store.read_checkpoint(self.job.identity)

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        self.accuracy = row["validation_accuracy"]
        if time.monotonic() - self.last_checkpoint < self.job.resources.checkpoint_seconds:
            return False
        self.store.write_checkpoint(self.job.identity, state())
        self.last_checkpoint = time.monotonic()
        return True

    def tick(self, step: int, steps: int, images_per_second: float) -> None:
        self.job.say(step=step, steps=steps, images_per_second=images_per_second, accuracy=self.accuracy)


class RayTrainObserver(StageObserver):
    """The listener inside a Ray Train worker: each validation is a report with a checkpoint."""

    def __init__(self, job: Job, main: bool) -> None:
        super().__init__(job)
        self.main = main
        self.curves = Curves(job) if main else None

    def load(self) -> bytes | None:
        import ray.train

        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            return (Path(folder) / CHECKPOINT).read_bytes()

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        import ray.train

        self.accuracy = row["validation_accuracy"]
        if not self.main:
            ray.train.report(row)
            return True  # the main worker writes it for all
        if self.curves:
            self.curves.row(row)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / CHECKPOINT).write_bytes(state())
            ray.train.report(row, checkpoint=ray.train.Checkpoint.from_directory(folder))
        return True


class SingleObserver(StageObserver):
    """The listener of a single-worker training in a warm Ray worker process."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.curves = Curves(job)

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        self.curves.row(row)
        return super().evaluated(row, state)
