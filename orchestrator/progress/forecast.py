"""When a run ends: the multiply-adds that are left, at the pace that the same kind of work has had so far.

A forecast, not a promise: networks of other shapes run at other paces, and a stage that has not begun is taken to be
as quick as what is most like it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.pipeline.graph import Stage, longest_chain
from orchestrator.pipeline.specs import EvaluateSpec, ScoreSpec, SearchSpec, TrainSpec
from orchestrator.progress.state import Progress, StageProgress
from orchestrator.progress.words import duration

ALL = ("", "")  # the kind and the networks of every stage
DOUBT_SECONDS = 20.0  # of work, that a pace known from other stages is worth beside a stage's own
BACKWARD = 2  # a training step is a forward pass and about two more for the gradients


def work(spec: Any, multiply_adds: Mapping[str, int], images: int) -> float:
    """Multiply-adds of a stage's work; 0 for what takes no network.

    Args:
        multiply_adds: of one image through each network, by the network's name.
        images: training images.
    """
    of = lambda name: multiply_adds.get(name.partition("@")[0], 0)  # noqa: E731  # TAs of other topologies: name@topology
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


def seconds_left(run: Progress) -> float | None:
    """Seconds until the last stage ends, or None while nothing tells how quick the work is."""
    paces = _Paces(run)
    if not paces.seen:
        return None
    left = {entry.stage.identity: _left(run, entry, paces) for entry in run.stages.values()}
    alone = {
        entry.stage.identity: left[entry.stage.identity] / max(1.0, min(entry.width, run.slots))
        for entry in run.stages.values()
    }
    longest, _ = longest_chain([entry.stage for entry in run.stages.values()], alone)
    return max(longest, sum(left.values()) / run.slots)


def overall(run: Progress) -> str:
    """How far the whole run is, in words."""
    text = f"{run.count('done', 'kept')} of {len(run.stages)} stages done"
    left = seconds_left(run)
    return text if left is None else f"{text}, about {duration(left)} left"


def _left(run: Progress, entry: StageProgress, paces: _Paces) -> float:
    """Slot-seconds that a stage still needs."""
    if entry.state not in ("waiting", "running"):
        return 0.0
    done = entry.status["step"] / entry.status["steps"] if entry.status.get("steps") else 0.0
    foretold = (1 - done) * work(entry.stage.spec, run.multiply_adds, run.images) / paces.of(entry.stage)
    left, spent = entry.seconds_left, entry.seconds_spent
    if left is None or spent is None:
        return foretold
    doubt = _doubt(left)
    return (spent * left * entry.width + doubt * foretold) / (spent + doubt)


def _doubt(seconds_left: float) -> float:
    """Seconds of work that what was known before a stage is worth beside its own pace; none at its end."""
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

    def __init__(self, run: Progress) -> None:
        self.seen: dict[tuple[str, str], _Seen] = {}
        for entry in run.stages.values():
            amount = work(entry.stage.spec, run.multiply_adds, run.images)
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
        """The pace that a stage is taken to have."""
        everything = self.seen[ALL]
        pace = everything.amount / everything.seconds
        for seen in (self.seen[key] for key in reversed(_keys(stage)) if key in self.seen):
            pace = (seen.amount + seen.doubt * pace) / (seen.seconds + seen.doubt)
        return pace


def _keys(stage: Stage) -> tuple[tuple[str, str], ...]:
    """Stages that are about as quick as each other (one kind, the same networks at work), those of a kind, and all."""
    spec = stage.spec
    names = [spec.network.name] if isinstance(spec, TrainSpec | EvaluateSpec) else []
    if isinstance(spec, TrainSpec) and spec.guidance.source == "online":
        names += spec.guidance.experts
    return (stage.kind, " ".join(names)), (stage.kind, ""), ALL
