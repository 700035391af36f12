"""When a run ends: the multiply-adds that are left, at the pace that the same kind of work has had so far.

A forecast, not a promise: networks of other shapes run at other paces, and a stage that has not begun is taken to be
as quick as what is most like it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.graph import Stage, longest_chain
from orchestrator.progress.state import Progress, StageProgress
from orchestrator.progress.words import duration
from orchestrator.specs import EvaluateSpec, ScoreSpec, SearchSpec, TrainSpec

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
    paces = _paces(run)
    if not paces:
        return None
    left = {entry.stage.identity: _left(run, entry, paces) for entry in run.stages.values()}
    longest, _ = longest_chain([entry.stage for entry in run.stages.values()], left)
    return max(longest, sum(left.values()) / run.slots)


def overall(run: Progress) -> str:
    """How far the whole run is, in words."""
    text = f"{run.count('done', 'kept')} of {len(run.stages)} stages done"
    left = seconds_left(run)
    return text if left is None else f"{text}, about {duration(left)} left"


def _left(run: Progress, entry: StageProgress, paces: Mapping[tuple[str, str], float]) -> float:
    """Slot-seconds that a stage still needs."""
    if entry.state not in ("waiting", "running"):
        return 0.0
    if entry.seconds_left is not None:
        return entry.seconds_left
    pace = paces.get(_like(entry.stage)) or paces.get((entry.stage.kind, "")) or paces[("", "")]
    done = entry.status["step"] / entry.status["steps"] if entry.status.get("steps") else 0.0
    return (1 - done) * work(entry.stage.spec, run.multiply_adds, run.images) / pace


def _paces(run: Progress) -> dict[tuple[str, str], float]:
    """Multiply-adds a slot-second: of stages alike, of each kind, and of all (the key of two empty words)."""
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for entry in run.stages.values():
        amount = work(entry.stage.spec, run.multiply_adds, run.images)
        if entry.state == "done":
            seconds = entry.slot_seconds
        elif entry.seconds_left:
            seconds = entry.seconds_left
            amount *= 1 - entry.status["step"] / entry.status["steps"]
        else:
            continue
        for key in (_like(entry.stage), (entry.stage.kind, ""), ("", "")):
            before = sums.get(key, (0.0, 0.0))
            sums[key] = (before[0] + amount, before[1] + seconds)
    return {key: amount / seconds for key, (amount, seconds) in sums.items() if amount and seconds}


def _like(stage: Stage) -> tuple[str, str]:
    """Stages that are about as quick as each other: one kind, one network."""
    network = getattr(stage.spec, "network", None)
    return stage.kind, network.name if network else ""
