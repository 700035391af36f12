"""Displays of a run: the protocol that the terminal's table and the plain lines share."""

from __future__ import annotations

from typing import Protocol

from orchestrator.execution.run_state import RunState
from orchestrator.progress.forecast import Forecast


class Display(Protocol):
    """Shows a run; decides nothing."""

    def say(self, text: str) -> None:
        """Show a line that does not belong to one stage."""
        ...

    def warn(self, text: str) -> None:
        """Show that something went wrong, even when quiet."""
        ...

    def event(self, text: str) -> None:
        """Show that a stage is done; a display that shows the stages themselves passes over it."""
        ...

    def refresh(self, run: RunState, forecast: Forecast) -> None:
        """Show the run as it stands now; called about twice a second while stages are at work."""
        ...

    def close(self) -> None:
        """End the display: the last stage has ended, or the run is given up."""
        ...
