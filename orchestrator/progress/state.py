"""How far a run is: the state of each of its stages, told by the executor, shown by a view."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from orchestrator.artifacts.store import Artifact
from orchestrator.pipeline.graph import Failure, Stage
from orchestrator.pipeline.stage_state import StageState, State
from orchestrator.progress.words import describe, ended

StageGroup = Literal["stage", "student", "evaluation"]
Findings = Callable[[Mapping[str, Artifact]], Iterable[str]]


class View(Protocol):
    """What shows a run to a person."""

    def say(self, text: str) -> None:
        """What is worth a line of its own."""
        ...

    def warn(self, text: str) -> None:
        """What went wrong; shown even when quiet."""
        ...

    def event(self, text: str) -> None:
        """A stage has ended; a view that shows the stages themselves passes over it."""
        ...

    def refresh(self, run: Progress) -> None:
        """About twice a second, while stages are at work."""
        ...

    def close(self) -> None:
        """The last stage has ended, or the run is given up."""
        ...


@dataclass
class StageProgress:
    """One stage: ``status`` is what it has said last, ``words`` what came of it; ``since`` it is in its state."""

    stage: Stage
    state: State = "waiting"
    since: float | None = None  # unix seconds
    seconds: float | None = None  # of the work, once it is done
    slot_seconds: float = 0.0  # those of all its workers, once it is done
    status: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    error: str | None = None

    @property
    def group(self) -> StageGroup:
        """What it is shown among."""
        if self.stage.kind == "evaluate":
            return "evaluation"
        student = self.stage.kind == "train" and self.stage.facts.part == "student"
        return "student" if student else "stage"

    @property
    def seconds_left(self) -> float | None:
        """Of a training or a score, once it says so."""
        return self.status.get("seconds_left") if self.state == "running" else None

    @property
    def seconds_spent(self) -> float | None:
        """Of the steps that are done, at the pace that they have now; known wherever ``seconds_left`` is."""
        left = self.seconds_left
        return None if left is None else max(0.0, self.status["whole_seconds"] - left)

    @property
    def width(self) -> int:
        """How many slots its work can use at once."""
        return self.stage.placement.workers


class Progress:
    """Every stage of a run, in the plan's order, by name.

    Args:
        stages: all stages of the plan.
        kept: identities of the artifacts that exist already.
        multiply_adds: of one image through each network of the ladder, by its name.
        images: training images.
        findings: what is wrong with what there is, by the artifacts that were made, a sentence each.
    """

    def __init__(
        self, stages: Iterable[Stage], kept: Iterable[str], view: View, multiply_adds: Mapping[str, int], images: int,
        findings: Findings = lambda made: (),
    ) -> None:  # fmt: skip
        there = set(kept)
        self.stages = {
            stage.name: StageProgress(stage, "kept" if stage.identity in there else "waiting") for stage in stages
        }
        self.view, self.multiply_adds, self.images = view, multiply_adds, images
        self.made: dict[str, Artifact] = {}  # by identity
        self.findings = findings
        self.told: set[str] = set()  # findings that the view was warned of
        self.slots = 1.0  # how many students the cluster has room for at once

    def status(self, statuses: Mapping[str, dict[str, Any]]) -> None:
        """What stages have said since the last time."""
        for name, status in statuses.items():
            entry = self.stages.get(name)
            if entry is None:  # no stage, but something beside one that did not go well
                self.view.warn(f"{name}: {describe(status)}")
                continue
            if entry.state == "waiting":
                entry.state, entry.since = "running", time.time()
            entry.status = status

    def done(self, artifact: Artifact) -> None:
        """A stage has made its artifact."""
        entry = self.stages[artifact.name]
        self.made[artifact.identity] = artifact
        entry.state, entry.since = "done", artifact.end
        entry.seconds, entry.words = artifact.end - artifact.start, ended(artifact)
        entry.slot_seconds = artifact.results["cost"]["slot_seconds"]
        self.view.event(f"{artifact.name} done ({entry.seconds:.0f} s{', ' if entry.words else ''}{entry.words})")
        self.warn()

    def warn(self) -> None:
        """Show what has been found since the last time."""
        for text in self.findings(self.made):
            if text not in self.told:
                self.told.add(text)
                self.view.warn(f"warning: {text}")

    def failed(self, failure: Failure) -> None:
        """A stage could not be done, for its own error or since another one was not."""
        entry = self.stages[failure.stage]
        entry.state, entry.since = "failed" if failure.error else "blocked", time.time()
        if failure.error:
            entry.words, entry.error = failure.error.splitlines()[0], failure.error
            self.view.warn(f"{failure.stage} failed: {entry.words}")
        else:
            entry.words = f"can't be done without {failure.blocked_by}"

    def waits_for(self, entry: StageProgress) -> list[str]:
        """Names of the stages that a waiting one needs and that are not there yet."""
        names = [stage.name for _, stage in entry.stage.inputs]
        return [name for name in dict.fromkeys(names) if self.stages[name].state not in ("done", "kept")]

    def count(self, *states: State, group: StageGroup | None = None) -> int:
        """How many stages are in one of some states."""
        return sum(entry.state in states and group in (None, entry.group) for entry in self.stages.values())

    def snapshot(self) -> dict[str, StageState]:
        """How far every stage is, by identity."""
        return {
            entry.stage.identity: StageState(
                entry.state,
                describe(entry.status, entry.seconds_left) if entry.state == "running" else entry.words,
                entry.since,
                entry.error,
            )
            for entry in self.stages.values()
        }

    def best_trial(self) -> tuple[float, dict[str, Any]] | None:
        """Validation accuracy and settings of the best trial of the search that has said something last."""
        said = [entry for entry in self.stages.values() if entry.stage.kind == "search" and "best" in entry.status]
        if not said:
            return None
        last = max(said, key=lambda entry: entry.since or 0.0)
        return last.status["accuracy"], last.status["best"]
