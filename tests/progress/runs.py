"""Running runs, from a small recipe's plan and constructed artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.execution.run_state import RunState
from orchestrator.pipeline.graph import Failure, Plan
from orchestrator.progress.events import Events
from orchestrator.progress.forecast import Forecast, forecast_of
from orchestrator.stages.status import Status
from tests.examples import make_artifacts, planned


class Heard:
    """A display that remembers the lines that it was to show."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    event = warn = say

    def refresh(self, run: RunState, forecast: Forecast) -> None:
        return None

    def close(self) -> None:
        return None


class Run:
    """A run of the small recipe: its ``state``, and an artifact for each stage to end it with."""

    def __init__(self, folder: Path, *overrides: str, kept: Iterable[str] = ()) -> None:
        self.plan: Plan = planned(*overrides)
        artifacts = make_artifacts(self.plan, Store(str(folder)))
        self.artifacts: dict[str, Artifact] = {artifact.name: artifact for artifact in artifacts.values()}
        self.state = RunState(self.plan.stages, {self.artifacts[name].identity: self.artifacts[name] for name in kept})
        sizes = [{"multiply_adds": 100 * 2 ** (5 - n)} for n, _ in enumerate(self.plan.recipe.ladder.networks)]
        self.forecast = forecast_of(self.plan, sizes, images=320)
        self.display = Heard()
        self.events = Events(self.state, self.display, self.forecast)

    def post(self, statuses: dict[str, Status]) -> None:
        for name, status in statuses.items():
            self.state.posted(name, status)

    def fail(self, failure: Failure) -> None:
        self.events.ended(self.state.failed(failure))

    def end(self, *names: str) -> None:
        for name in names:
            self.events.ended(self.state.done(self.artifacts[name]))

    def end_all_but(self, *names: str) -> None:
        self.end(*(stage.name for stage in self.plan.stages if stage.name not in names))

    def seconds_left(self) -> float | None:
        return self.forecast.seconds_left(self.state)

    def overall(self) -> str:
        return self.forecast.overall(self.state)
