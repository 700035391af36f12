"""Observer of a training: the interface to its status, its logs and its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.training.pace import Timing

ReportedRow = dict[str, float]  # a row of the history, with the telemetry


class Observer(Protocol):
    """Receiver of a training's progress, and keeper of its checkpoints."""

    def load(self) -> bytes | None:
        """Returns the checkpoint to resume from; None for a new training."""
        ...

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        """Called after each validation, on every worker. Returns whether the checkpoint of ``state`` was written."""
        ...

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        """Called about once a second, on the main worker."""
        ...
