"""Listener to a run: the executor calls it, and does not depend on what it does."""

from __future__ import annotations

from typing import Any, Protocol

from orchestrator.execution.run_state import StageEntry


class Listener(Protocol):
    """Receives the events of a run."""

    def ended(self, entry: StageEntry) -> None:
        """A stage is done, failed, or is blocked by one that failed."""
        ...

    def noted(self, name: str, status: dict[str, Any]) -> None:
        """Something beside a stage went wrong, such as its tracking; ``name`` names both."""
        ...

    def refresh(self) -> None:
        """Called about twice a second while stages are at work."""
        ...
