"""Events of a run, put into words for a display."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator.artifacts.store import Artifact
from orchestrator.execution.run_state import RunState, StageEntry
from orchestrator.progress.display import Display
from orchestrator.progress.forecast import Forecast
from orchestrator.progress.words import describe, outcome
from orchestrator.stages.status import Status

Findings = Callable[[dict[str, Artifact]], Iterable[str]]


class Events:
    """Shows the events of a run; the executor's ``Listener``.

    Args:
        run: state of the run.
        display: where they are shown.
        forecast: the forecast that is shown beside the stages.
        findings: returns, given all artifacts that exist, a sentence on each thing that is wrong with them.
        told: findings that were shown before the run.
    """

    def __init__(
        self, run: RunState, display: Display, forecast: Forecast, findings: Findings = lambda artifacts: (),
        told: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.run, self.display, self.forecast, self.findings = run, display, forecast, findings
        self.told = set(told)  # findings that were shown

    def ended(self, entry: StageEntry) -> None:
        name, words = entry.stage.name, outcome(entry)
        if entry.state == "failed":
            self.display.warn(f"{name} failed: {words}")
        elif entry.state == "done":
            self.display.event(f"{name} done ({entry.seconds:.0f} s{', ' if words else ''}{words})")
            self.warn()

    def noted(self, name: str, status: Status) -> None:
        self.display.warn(f"{name}: {describe(status)}")

    def noticed(self, change: str) -> None:
        self.display.warn(change)

    def refresh(self) -> None:
        self.display.refresh(self.run, self.forecast)

    def warn(self) -> None:
        """Show the findings that were not shown yet."""
        for text in self.findings(self.run.artifacts):
            if text not in self.told:
                self.told.add(text)
                self.display.warn(f"warning: {text}")
