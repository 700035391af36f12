"""Destinations of a training's rows: TensorBoard files, and a tracking server where the recipe asks for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

from typing_extensions import Self

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.storage.storage import StorageError
from orchestrator.tracking.names import scalars
from orchestrator.tracking.servers import TrackedRun, open_run
from orchestrator.tracking.tensorboard import Curves
from orchestrator.tracking.training import TrackedTraining


class Logbook:
    """Writer of one training's rows; a context manager that records how the training ended.

    A tracking server that fails, or a place that takes no more files, costs its own rows and no more: the training
    goes on, and the progress lines say so.

    Args:
        job: the training.
        spec: its spec.
        folder: folder of its curves, below ``logs`` of the storage; by default named by the stage and its identity.
    """

    def __init__(self, job: TrackedTraining, spec: TrainSpec, folder: str | None = None) -> None:
        self.job, self.spec = job, spec
        self.curves = Curves(job, spec, folder or f"{job.name}/{job.short_identity}")
        self.tracked: TrackedRun | None = None
        self.draws, self.tracks = True, job.tracking is not None

    def row(self, row: Mapping[str, float]) -> None:
        """Write a row of the history, with its ``step`` and the telemetry beside it."""
        self._draw(lambda curves: curves.row(row))
        values = {tag: value for tag, (value, _) in scalars(row).items()}
        self._track(lambda run: run.row(int(row["step"]), values))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        # Tune ends a trial that it stops early by SystemExit.
        well = kind is None or issubclass(kind, SystemExit)
        self._draw(lambda curves: curves.close(well))
        if self.tracked:
            self._track(lambda run: run.close(well))

    def _draw(self, what: Callable[[Curves], None]) -> None:
        if not self.draws:
            return
        try:
            what(self.curves)
        except (OSError, StorageError) as error:
            self.draws = False
            self._say("curves", f"no longer written: {error}")

    def _track(self, what: Callable[[TrackedRun], None]) -> None:
        if not self.tracks or self.job.tracking is None:
            return
        try:
            self.tracked = self.tracked or open_run(self.job.tracking, self.job, self.spec)
            what(self.tracked)
        except Exception as error:  # each client has errors of its own, and none is worth a training
            self.tracks = False
            why = str(error).strip().splitlines() or [type(error).__name__]
            self._say("tracking", f"no longer sent to {self.job.tracking.to}: {why[0]}")

    def _say(self, part: str, what: str) -> None:
        self.job.note(part, f"{what}; the training itself goes on")
