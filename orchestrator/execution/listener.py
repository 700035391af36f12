"""Listener to a run: the executor calls it, and does not depend on what it does."""

from __future__ import annotations

from typing import Protocol

from orchestrator.execution.run_state import StageEntry
from orchestrator.stages.status import Status


class Listener(Protocol):
    """Receives the events of a run."""

    def ended(self, entry: StageEntry) -> None:
        """A stage is done, failed, or is blocked by one that failed."""
        ...

    def noted(self, name: str, status: Status) -> None:
        """Something beside a stage went wrong, such as its tracking; ``name`` names both."""
        ...

    def noticed(self, change: str) -> None:
        """The cluster changed, or is not used as it could be."""
        ...

    def refresh(self) -> None:
        """Called about twice a second while stages are at work."""
        ...
