"""Forecast of the end of a run: the multiply-adds that are left, at the pace of the same kind of work so far.

A forecast, not a promise: networks of other shapes run at other paces, and a stage that has not begun is taken to be
as quick as what is most like it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.execution.run_state import RunState, StageEntry
from orchestrator.pipeline.graph import Plan, Stage, longest_chain
from orchestrator.pipeline.kinds import EvaluateSpec, ScoreSpec
from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.progress.words import duration

ALL = ("", "")  # the kind and the networks of every stage
DOUBT_SECONDS = 20.0  # of work, that a pace known from other stages is worth beside a stage's own
STILL_SECONDS = 30.0  # without any sign of progress: no forecast is made
BACKWARD = 2  # a training step is a forward pass and about two more for the gradients


def work(spec: Any, multiply_adds: Mapping[str, int], images: int) -> float:
    """Returns the multiply-adds of a stage's work; 0 for work without a network.

    Args:
        spec: the stage's spec.
        multiply_adds: of one image through each network, by its name, and by its label where it is an expert.
        images: training images.
    """

    def of(name: str) -> int:
        return multiply_adds.get(name, 0)

    if isinstance(spec, SearchSpec):
        steps = sum(places * steps for places, steps in zip(spec.rung_places, spec.rung_steps, strict=True))
        return work(spec.student, multiply_adds, images) * steps / spec.student.steps
    if isinstance(spec, TrainSpec):
        taught: list[float] = [of(name) for name in spec.guidance.experts] if spec.guidance.source == "online" else []
        if spec.guidance.kind == "selected" and taught:
            taught = [sum(taught) / len(taught)]
        return spec.steps * spec.batch_size * ((1 + BACKWARD) * of(spec.network.name) + sum(taught))
    if isinstance(spec, ScoreSpec):
        folds = spec.folds * of(spec.fold_network.name) if spec.fold_network else 0
        return images * ((1 + spec.views) * sum(of(network.name) for network in spec.networks) + folds)
    if isinstance(spec, EvaluateSpec):
        return images * of(spec.network.name) / 10  # validation and test are about a tenth of the images each
    return 0.0


@dataclass(frozen=True)
class Forecast:
    """Forecasts the end of a run from its state.

    Attributes:
        multiply_adds: as for ``work``.
        images: as for ``work``.
    """

    multiply_adds: Mapping[str, int]
    images: int

    def seconds_left(self, run: RunState) -> float | None:
        """Returns the seconds until the last stage ends, or None while no pace of the work is known."""
        paces = _Paces(self, run)
        if not paces.seen:
            return None
        left = {entry.stage.identity: self._left(entry, paces) for entry in run.stages.values()}
        alone = {
            entry.stage.identity: left[entry.stage.identity] / max(1.0, min(entry.width, run.slots))
            for entry in run.stages.values()
        }
        longest, _ = longest_chain([entry.stage for entry in run.stages.values()], alone)
        return max(longest, sum(left.values()) / run.slots)

    def overall(self, run: RunState) -> str:
        """Returns the state of the whole run in words."""
        text = f"{run.count('done', 'kept')} of {len(run.stages)} stages done"
        still = time.time() - run.moved
        if still >= STILL_SECONDS:  # a forecast would be that of a while ago
            return f"{text}, nothing has moved for {duration(still)}"
        left = self.seconds_left(run)
        return text if left is None else f"{text}, about {duration(left)} left"

    def work_of(self, stage: Stage) -> float:
        """Returns the multiply-adds of a stage's work."""
        return work(stage.spec, self.multiply_adds, self.images)

    def _left(self, entry: StageEntry, paces: _Paces) -> float:
        """Returns the slot-seconds that a stage still needs."""
        if entry.state not in ("waiting", "running"):
            return 0.0
        done = entry.status["step"] / entry.status["steps"] if entry.status.get("steps") else 0.0
        foretold = (1 - done) * self.work_of(entry.stage) / paces.of(entry.stage)
        left, spent = entry.seconds_left, entry.seconds_spent
        if left is None or spent is None:
            return foretold
        doubt = _doubt(left)
        return (spent * left * entry.width + doubt * foretold) / (spent + doubt)


def forecast_of(planned: Plan, sizes: Sequence[Mapping[str, int]], images: int) -> Forecast:
    """Returns the forecast of a plan's run.

    Args:
        planned: the plan.
        sizes: ``multiply_adds`` of each network of the ladder, teacher first.
        images: training images.
    """
    names = [network.name for network in planned.recipe.ladder.networks]
    of_network = {name: size["multiply_adds"] for name, size in zip(names, sizes, strict=True)}
    of_expert = {expert.label: of_network[expert.network.name] for expert in planned.experts}
    return Forecast(of_network | of_expert, images)


def _doubt(seconds_left: float) -> float:
    """Returns the seconds of work that earlier knowledge is worth beside a stage's own pace; none at its end."""
    return min(DOUBT_SECONDS, seconds_left)


@dataclass
class _Seen:
    """Multiply-adds that are done, the slot-seconds that they took, and how much what is alike counts beside them."""

    amount: float = 0.0
    seconds: float = 0.0
    doubt: float = DOUBT_SECONDS

    def add(self, amount: float, seconds: float, doubt: float) -> None:
        self.amount, self.seconds = self.amount + amount, self.seconds + seconds
        self.doubt = min(self.doubt, doubt)


class _Paces:
    """Multiply-adds a slot-second: of stages alike, of each kind, and of all (the key of two empty words).

    What is first seen of a kind, or of a network, counts beside what was known before, and more as it goes on: so a
    forecast does not jump where a stage begins.
    """

    def __init__(self, forecast: Forecast, run: RunState) -> None:
        self.seen: dict[tuple[str, str], _Seen] = {}
        for entry in run.stages.values():
            amount = forecast.work_of(entry.stage)
            if entry.state == "done":
                seconds, doubt = entry.slot_seconds, 0.0
            elif entry.seconds_left is not None and entry.seconds_spent:
                seconds, doubt = entry.seconds_spent * entry.width, _doubt(entry.seconds_left)
                amount *= entry.seconds_spent / (entry.seconds_spent + entry.seconds_left)
            else:
                continue
            if amount and seconds:
                for key in _keys(entry.stage):
                    self.seen.setdefault(key, _Seen()).add(amount, seconds, doubt)

    def of(self, stage: Stage) -> float:
        """Returns the pace that a stage is taken to have."""
        everything = self.seen[ALL]
        pace = everything.amount / everything.seconds
        for seen in (self.seen[key] for key in reversed(_keys(stage)) if key in self.seen):
            pace = (seen.amount + seen.doubt * pace) / (seen.seconds + seen.doubt)
        return pace


def _keys(stage: Stage) -> tuple[tuple[str, str], ...]:
    """Returns the keys of a stage: for stages of its kind with the same networks at work, for its kind, and for all."""
    spec = stage.spec
    names = [spec.network.name] if isinstance(spec, TrainSpec | EvaluateSpec) else []
    if isinstance(spec, TrainSpec) and spec.guidance.source == "online":
        names += spec.guidance.experts
    return (stage.kind, " ".join(names)), (stage.kind, ""), ALL
