"""A training as tracking sees it: its names, and where it is tracked. Stages know more of it."""

from __future__ import annotations

from typing import Protocol

from orchestrator.artifacts.store import Store
from orchestrator.pipeline.placement import Facts
from orchestrator.tracking.settings import Tracking


class TrackedTraining(Protocol):
    """A training whose curves are written; ``orchestrator.stages.job.Job`` is one."""

    @property
    def name(self) -> str:
        """Its stage's name, such as ``student/kd/seed-0``; a trial's has its number behind it."""
        ...

    @property
    def facts(self) -> Facts:
        """The training's place in its run."""
        ...

    @property
    def identity(self) -> str: ...

    @property
    def short_identity(self) -> str: ...

    @property
    def store(self) -> Store: ...

    @property
    def tracking(self) -> Tracking | None: ...

    def note(self, part: str, text: str) -> None:
        """Show a line about a part of the training that goes wrong beside it."""
        ...
