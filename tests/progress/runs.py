"""Running runs, from a small recipe's plan and constructed artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.graph import Plan
from orchestrator.progress.state import Progress
from tests.examples import make_artifacts, planned


class Heard:
    """A display that records its calls."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    event = warn = say

    def refresh(self, run: Progress) -> None:
        return None

    def close(self) -> None:
        return None


class Run:
    """A run of the small recipe: ``progress``, and an artifact for each stage to end it with."""

    def __init__(self, folder: Path, *overrides: str, kept: Iterable[str] = ()) -> None:
        self.plan: Plan = planned(*overrides)
        artifacts = make_artifacts(self.plan, Store(str(folder)))
        self.artifacts: dict[str, Artifact] = {artifact.name: artifact for artifact in artifacts.values()}
        identities = [self.artifacts[name].identity for name in kept]
        sizes = {network.name: 100 * 2 ** (5 - n) for n, network in enumerate(self.plan.recipe.ladder.networks)}
        self.view = Heard()
        self.progress = Progress(self.plan.stages, identities, self.view, sizes, images=320)

    def end(self, *names: str) -> None:
        for name in names:
            self.progress.done(self.artifacts[name])

    def end_all_but(self, *names: str) -> None:
        self.end(*(stage.name for stage in self.plan.stages if stage.name not in names))
