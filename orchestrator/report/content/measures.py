"""Sums over a run's artifacts: images taught by each expert, time, cost."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import read_assignments
from orchestrator.pipeline.graph import Plan
from orchestrator.recipe.methods import METHODS
from orchestrator.report.content.schema import Cost, Spent, StageRow, Strata, Wall
from orchestrator.report.files import read


def experts_by_stratum(planned: Plan, store: Store, artifacts: dict[str, Artifact]) -> Strata:
    """For each method whose images have different experts: share of each stratum's images that each expert taught.

    Rows are strata, the easiest first.
    """
    experts = [expert.label for expert in reversed(planned.ladder)]
    found: Strata = {"experts": experts, "methods": {}}
    for method in (method for method in METHODS.values() if method.dealing and method.experts == "all"):
        counts = [
            _by_label(taught, artifacts[final.train.identity], experts)
            for final in planned.finals
            if final.method == method.name
            and final.train.identity in artifacts
            and (taught := read(store, final.train.identity, read_assignments)) is not None
        ]
        if counts:
            total = np.sum(counts, axis=0).astype(float)
            shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
            found["methods"][method.name] = [[round(float(share), 4) for share in row] for row in shares]
    return found


def _by_label(counts: npt.NDArray[np.int64], student: Artifact, experts: list[str]) -> npt.NDArray[np.int64]:
    """Returns a student's counts (strata, its experts) with a column for every expert of the ladder."""
    chosen = student.results["taught_with"].get("experts", experts)
    spread = np.zeros((len(counts), len(experts)), np.int64)
    spread[:, [experts.index(name) for name in chosen]] = counts
    return spread


def wall(artifacts: dict[str, Artifact], planned: Plan) -> Wall:
    """Seconds of work, seconds with a stage at work, and the number of stages at once on average.

    Stages kept from an earlier run count with the time of the work that made them.
    """
    spans = [(item.start, item.end) for stage in planned.stages if (item := artifacts.get(stage.identity))]
    if not spans:
        return {"work_seconds": 0.0, "busy_seconds": 0.0, "overlap": 0.0}
    work = sum(end - start for start, end in spans)
    busy, reached = 0.0, 0.0
    for start, end in sorted(spans):
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return {"work_seconds": work, "busy_seconds": busy, "overlap": work / busy if busy else 0.0}


def spent(artifacts: dict[str, Artifact], planned: Plan) -> Spent:
    """Seconds of all trainings by activity: of networks of the ladder, and of students."""
    found: Spent = {"ladder": {}, "students": {}}
    for stage in planned.stages:
        artifact = artifacts.get(stage.identity)
        if stage.kind == "train" and artifact:
            sums = found["ladder" if stage.facts.part == "expert" else "students"]
            for doing, seconds in artifact.results.get("spent", {}).items():
                sums[doing] = sums.get(doing, 0.0) + seconds
    return found


def versions(artifacts: dict[str, Artifact]) -> dict[str, str | list[str]]:
    """Versions that the artifacts were made with; a list where they differ."""
    found: dict[str, set[str]] = {}
    for artifact in artifacts.values():
        for package, number in artifact.versions.items():
            found.setdefault(package, set()).add(number)
    return {name: min(numbers) if len(numbers) == 1 else sorted(numbers) for name, numbers in sorted(found.items())}


def cost(stages: Iterable[StageRow]) -> Cost:
    """Slot-seconds of all stages, in whichever run they were made: in all, and by kind of stage.

    A slot is the room that one single-worker training takes of the cluster.
    """
    by_kind: dict[str, float] = {}
    for stage in stages:
        if stage["slot_seconds"] is not None:
            by_kind[stage["kind"]] = by_kind.get(stage["kind"], 0.0) + stage["slot_seconds"]
    return {"slot_seconds": float(sum(by_kind.values())), "by_kind": by_kind}
