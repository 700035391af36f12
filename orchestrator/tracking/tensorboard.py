"""TensorBoard files of one training: its curves, and its row of the HPARAMS table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary, SummaryMetadata
from tensorboardX import SummaryWriter
from tensorboardX.proto.summary_pb2 import Summary as WriterSummary

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.tracking import hparams
from orchestrator.tracking.names import hyperparameters, scalars
from orchestrator.tracking.training import TrackedTraining


class Curves:
    """Writes below ``logs/`` of the storage; where that is no mounted folder, beside it and there at the end.

    The file is opened at the first row. A training that goes on from a checkpoint starts again somewhat before it was
    cut off: what the earlier file holds from its first row on is marked as void, so that no step shows twice.

    Args:
        job: the training.
        spec: what it trains.
        folder: where its files go, below ``logs``.
    """

    def __init__(self, job: TrackedTraining, spec: TrainSpec, folder: str) -> None:
        self.job, self.spec, self.store = job, spec, job.store
        self.parts = ("logs", *folder.split("/"))
        self.in_table = job.facts.part in ("student", "trial")
        self.began = time.time()
        self.folder: Path | None = None
        self.writer: SummaryWriter | None = None

    def row(self, row: Mapping[str, float]) -> None:
        """Add a row of the history, with its ``step`` and the telemetry beside it."""
        step = int(row["step"])
        writer = self.writer = self.writer or self._open(step)
        for tag, (value, meaning) in scalars(row).items():
            _add(writer, _scalar(tag, value, meaning), step)
        writer.flush()

    def close(self, well: bool) -> None:
        """End the file, and bring it to the storage where that is no mounted folder."""
        if self.writer is None:
            return
        if self.in_table:
            _add(self.writer, hparams.session_end(well, time.time()))
        self.writer.close()
        if self.store.local_root is None and self.folder is not None:
            self.store.upload_folder(self.folder, *self.parts)

    def _open(self, first_step: int) -> SummaryWriter:
        local = self.store.local_root
        self.folder = local.joinpath(*self.parts) if local else Path(tempfile.mkdtemp(prefix="curves-"))
        # A file's name has whole seconds; with more digits a quick new start does not overwrite the file before it.
        suffix = f".{time.time_ns()}"
        writer = SummaryWriter(str(self.folder), purge_step=first_step, flush_secs=10, filename_suffix=suffix)
        if self.in_table:
            _add(writer, hparams.experiment())
            _add(writer, hparams.session_start(hyperparameters(self.job.facts, self.spec), self.began))
        return writer


def _add(writer: SummaryWriter, summary: Summary, step: int = 0) -> None:
    # tensorboardX has copies of TensorBoard's messages, from before a curve could say what it is.
    writer.file_writer.add_summary(WriterSummary.FromString(summary.SerializeToString()), step)


def _scalar(tag: str, value: float, meaning: str) -> Summary:
    about = SummaryMetadata(
        display_name=tag, summary_description=meaning, data_class=DATA_CLASS_SCALAR,
        plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"),
    )  # fmt: skip
    return Summary(value=[Summary.Value(tag=tag, simple_value=value, metadata=about)])
