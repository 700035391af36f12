"""TensorBoard files of one training: its curves, and its row of the HPARAMS table."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
from tensorboardX import SummaryWriter

from orchestrator.specs import TrainSpec
from orchestrator.stages import hparams
from orchestrator.stages.job import Job
from orchestrator.stages.scalars import hyperparameters, place, scalars


class Curves:
    """Writes below ``logs/`` of the storage; where that is no mounted folder, beside it and there at the end.

    The file is opened at the first row. A training that goes on from a checkpoint starts again somewhat before it was
    cut off: what the earlier file holds from its first row on is marked as void, so that no step shows twice.

    Args:
        job: the training.
        spec: what it trains.
        folder: where its files go, below ``logs``.
    """

    def __init__(self, job: Job, spec: TrainSpec, folder: str) -> None:
        self.job, self.spec, self.store = job, spec, job.store
        self.parts = ("logs", *folder.split("/"))
        self.in_table = place(job.name).kind in ("student", "trial")
        self.began = time.time()
        self.folder: Path | None = None
        self.writer: SummaryWriter | None = None

    def row(self, row: dict[str, Any]) -> None:
        """Add one line of a training's history, with what is measured beside it."""
        writer = self.writer = self.writer or self._open(row["step"])
        for tag, (value, meaning) in scalars(row).items():
            writer.add_scalar(tag, value, row["step"], display_name=tag, summary_description=meaning)
        writer.flush()

    def close(self, well: bool) -> None:
        """End the file, and bring it to the storage where that is no mounted folder."""
        if self.writer is None:
            return
        if self.in_table:
            self.writer.file_writer.add_summary(hparams.session_end(well, time.time()))
        self.writer.close()
        if self.store.local_root is None:
            target = self.store.path(*self.parts)
            self.store.filesystem.create_dir(target, recursive=True)
            pafs.copy_files(str(self.folder), target, destination_filesystem=self.store.filesystem)

    def _open(self, first_step: int) -> SummaryWriter:
        local = self.store.local_root
        self.folder = local.joinpath(*self.parts) if local else Path(tempfile.mkdtemp(prefix="curves-"))
        writer = SummaryWriter(str(self.folder), purge_step=first_step, flush_secs=10)
        if self.in_table:
            writer.file_writer.add_summary(hparams.experiment())
            values = hyperparameters(self.job.name, self.spec)
            writer.file_writer.add_summary(hparams.session_start(values, self.began))
        return writer
