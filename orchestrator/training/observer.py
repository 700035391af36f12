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

    def checkpoint_is_due(self) -> bool:
        """Returns whether a checkpoint is to be written before the next validation.

        Called on the main worker: every few seconds, or after every few steps where it is the only one.
        """
        ...

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        """Called between validations, on every worker, to write the checkpoint of ``state``."""
        ...

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        """Called about once a second, on the main worker."""
        ...
